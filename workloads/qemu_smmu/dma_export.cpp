// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/dma_export.hpp"

#include <algorithm>

namespace smmulab::workloads::qemu {

using dma::DmaOp;

void DmaExport::on_access(std::uint64_t sid, std::uint64_t asid, std::uint64_t iova,
                          std::uint64_t) {
  DmaOp op;
  op.stream = static_cast<std::uint32_t>(sid);
  op.space = static_cast<std::uint16_t>(asid);
  op.iova = iova;
  writer_.write(op);
}

// A leaf of another size in the same place: tables were changed; what was there is unmapped first.
void DmaExport::drop_overlaps(std::uint64_t asid, std::uint64_t iova, std::uint64_t size) {
  auto it = leaves_.lower_bound({asid, iova});
  if (it != leaves_.begin()) {
    const auto before = std::prev(it);
    if (before->first.first == asid && before->first.second + before->second.size > iova) {
      it = before;
    }
  }
  while (it != leaves_.end() && it->first.first == asid && it->first.second < iova + size) {
    DmaOp op;
    op.kind = DmaOp::Kind::kUnmap;
    op.space = static_cast<std::uint16_t>(asid);
    op.iova = it->first.second;
    op.size = it->second.size;
    writer_.write(op);
    it = leaves_.erase(it);
  }
}

void DmaExport::on_leaf(std::uint64_t asid, std::uint64_t iova, std::uint64_t pa, unsigned log2,
                        bool writable) {
  const Leaf leaf{pa, std::uint64_t{1} << log2, writable};
  const auto found = leaves_.find({asid, iova});
  if (found != leaves_.end() && found->second == leaf) {
    return;
  }
  drop_overlaps(asid, iova, leaf.size);
  leaves_[{asid, iova}] = leaf;
  DmaOp op;
  op.kind = DmaOp::Kind::kMap;
  op.space = static_cast<std::uint16_t>(asid);
  op.iova = iova;
  op.pa = pa;
  op.size = leaf.size;
  op.read_only = !writable;
  writer_.write(op);
}

void DmaExport::on_invalidate(std::optional<std::uint64_t> asid) {
  DmaOp op;
  op.kind = asid ? DmaOp::Kind::kInvSpace : DmaOp::Kind::kInvAll;
  op.space = static_cast<std::uint16_t>(asid.value_or(0));
  writer_.write(op);
}

void DmaExport::on_invalidate_range(std::optional<std::uint64_t> asid, std::uint64_t iova,
                                    std::uint64_t bytes) {
  if (!asid) {  // any ASID: the trace names spaces one by one
    on_invalidate(std::nullopt);
    return;
  }
  constexpr std::uint64_t kSpace = std::uint64_t{1} << 48U;
  if (iova >= kSpace) {  // a trace has the lower half of a space only
    on_invalidate(asid);
    return;
  }
  DmaOp op;
  op.kind = DmaOp::Kind::kInvRange;
  op.space = static_cast<std::uint16_t>(*asid);
  op.iova = iova;
  op.size = std::min(bytes, kSpace - iova);
  writer_.write(op);
}

void DmaExport::on_config_invalidate(std::uint64_t first_sid, std::uint64_t last_sid) {
  DmaOp op;
  op.kind = first_sid == last_sid ? DmaOp::Kind::kCfgi : DmaOp::Kind::kCfgiAll;
  op.stream = static_cast<std::uint32_t>(first_sid);
  writer_.write(op);
}

}  // namespace smmulab::workloads::qemu
