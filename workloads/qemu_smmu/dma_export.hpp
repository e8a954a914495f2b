// SPDX-License-Identifier: Apache-2.0
// DmaExport: a QEMU log as a DMA trace: each translation an access, each leaf that a walk found a
// mapping, each invalidation. What the log does not show stays out: pages that were mapped and
// never accessed, the moment of an unmap.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "workloads/dma/dma_trace.hpp"
#include "workloads/qemu_smmu/log_sink.hpp"

namespace smmulab::workloads::qemu {

class DmaExport final : public LogSink {
 public:
  explicit DmaExport(const std::string& path) : writer_(path) {}
  dma::DmaTraceWriter& writer() { return writer_; }

  void on_access(std::uint64_t sid, std::uint64_t asid, std::uint64_t iova,
                 std::uint64_t pa) override;
  void on_leaf(std::uint64_t asid, std::uint64_t iova, std::uint64_t pa, unsigned log2,
               bool writable) override;
  void on_invalidate(std::optional<std::uint64_t> asid) override;
  void on_invalidate_range(std::optional<std::uint64_t> asid, std::uint64_t iova,
                           std::uint64_t bytes) override;
  void on_config_invalidate(std::uint64_t first_sid, std::uint64_t last_sid) override;

 private:
  struct Leaf {
    std::uint64_t pa, size;
    bool writable;
    friend bool operator==(const Leaf&, const Leaf&) = default;
  };
  void drop_overlaps(std::uint64_t asid, std::uint64_t iova, std::uint64_t size);

  dma::DmaTraceWriter writer_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Leaf> leaves_;  // by ASID and IOVA
};

}  // namespace smmulab::workloads::qemu
