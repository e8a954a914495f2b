// SPDX-License-Identifier: Apache-2.0
// The command half of LogReplay: each command line becomes a command of 16 bytes, which the model
// decodes and applies; what QEMU's own lines say it removed goes to the other side.
#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "sim/check.hpp"
#include "workloads/qemu_smmu/log_replay.hpp"

namespace smmulab::workloads::qemu {

void LogReplay::apply(const hw::Command& command) {
  const auto decoded = hw::decode_command(hw::encode(command));
  SMMULAB_CHECK(decoded.has_value(), "commands made from a log are legal");
  ++report_.invalidations;
  live_changed_ = true;
  if (hw::is_tlbi(decoded->opcode)) {
    hw::TlbInvalidation what = hw::tlb_invalidation(*decoded);
    what.level = 0;  // TTL is a hint, which QEMU does not follow: blocks go, too
    iotlb_.invalidate(what);
  } else if (const auto what = hw::config_invalidation(*decoded)) {
    configs_.invalidate(*what);
    if (sink_ != nullptr) {
      sink_->on_config_invalidate(what->first, what->last);
    }
  }
}

void LogReplay::on_command(Context& c, const LogEvent& e) {
  hw::Command command;
  command.stream = StreamId{static_cast<std::uint32_t>(e.sid)};
  switch (e.kind) {
    case LogKind::kOpcode:
      ++report_.commands;
      c.opcode = e.text;
      compare_live();
      return;
    case LogKind::kCfgiSte:
      command.opcode = hw::Opcode::kCfgiSte;
      apply(command);
      return;
    case LogKind::kCfgiCd:
      command.opcode =
          c.opcode == "SMMU_CMD_CFGI_CD_ALL" ? hw::Opcode::kCfgiCdAll : hw::Opcode::kCfgiCd;
      apply(command);
      return;
    case LogKind::kCfgiSteRange: {
      // 2^(Range+1) aligned streams.
      const std::uint64_t count = (e.last & 0xFFFF'FFFF) - (e.sid & 0xFFFF'FFFF) + 1;
      command.opcode = hw::Opcode::kCfgiSteRange;
      command.range =
          static_cast<std::uint8_t>(std::max(static_cast<int>(std::bit_width(count)) - 2, 0));
      apply(command);
      configs_known_ = configs_known_ || count == (std::uint64_t{1} << 32U);
      return;
    }
    case LogKind::kTlbiNh:
      command.opcode =
          c.opcode == "SMMU_CMD_TLBI_NH_ALL" ? hw::Opcode::kTlbiNhAll : hw::Opcode::kTlbiNsnhAll;
      command.vmid = Vmid{static_cast<std::uint16_t>(e.vmid == 0xFFFF ? 0 : e.vmid)};
      apply(command);
      c.tlbi_pending = true;
      if (sink_ != nullptr) {
        sink_->on_invalidate(std::nullopt);
      }
      return;
    case LogKind::kTlbiNhAsid:
      command.opcode = hw::Opcode::kTlbiNhAsid;
      command.asid = Asid{static_cast<std::uint16_t>(e.asid)};
      apply(command);
      if (sink_ != nullptr) {
        sink_->on_invalidate(e.asid);
      }
      return;
    case LogKind::kRangeInval:
      refuse_stage2(e);
      on_range(e, c.opcode);
      return;
    case LogKind::kInvAsid:
      recorded_.erase_asid(e.asid);
      return;
    case LogKind::kInvVmid:
      recorded_.erase_vmid(e.vmid == 0xFFFF ? 0 : e.vmid);
      return;
    default:
      return;
  }
}

// QEMU splits a range into powers of two, one line each.
void LogReplay::on_range(const LogEvent& e, const std::string& opcode) {
  if (e.last == 0) {
    return;
  }
  hw::Command command;
  const bool any = e.flag || opcode == "SMMU_CMD_TLBI_NH_VAA";
  command.opcode = any ? hw::Opcode::kTlbiNhVaa : hw::Opcode::kTlbiNhVa;
  command.asid = Asid{static_cast<std::uint16_t>(any ? 0 : e.asid)};
  command.vmid = Vmid{static_cast<std::uint16_t>(e.vmid)};
  command.leaf = e.number != 0;
  command.address = e.address;
  const unsigned granule = e.granule == 0 ? 12U : 10U + 2U * e.granule;
  if (e.granule != 0 && (e.last != 1 || e.level != 0)) {
    // Pages = (NUM + 1) << SCALE.
    const auto scale = static_cast<unsigned>(std::countr_zero(e.last));
    command.tg = e.granule;
    command.ttl = e.level;
    command.scale = static_cast<std::uint8_t>(std::min(scale, 31U));
    command.num = static_cast<std::uint8_t>((e.last >> command.scale) - 1);
  }
  apply(command);
  const std::uint64_t bytes = e.last << granule;
  recorded_.erase_range(any, e.asid, e.address, bytes, e.last == 1 ? e.level : std::uint8_t{0});
  if (sink_ != nullptr) {
    sink_->on_invalidate_range(any ? std::nullopt : std::optional{e.asid}, e.address, bytes);
  }
}

// After a TLBI of all: that command's. Else QEMU's IOTLB was full.
void LogReplay::on_inv_all(Context& c) {
  recorded_.clear();
  if (c.tlbi_pending) {
    c.tlbi_pending = false;
    iotlb_known_ = true;
  } else {
    flush_seen_ = true;
  }
}

void LogReplay::compare_live() {
  if (!live_changed_) {
    return;
  }
  live_changed_ = false;
  std::vector<RecordedIotlb::Key> model;
  iotlb_.for_each([&model](const hw::TlbEntry& entry) {
    model.push_back({entry.tag.asid.value(), entry.tag.vmid.value(), entry.input, entry.reach_log2,
                     entry.level});
  });
  std::ranges::sort(model);
  const std::vector<RecordedIotlb::Key> recorded = recorded_.sorted();
  check(Check::kLive, recorded == model, [&] {
    return std::pair{fmt::format("{} entries", recorded.size()),
                     fmt::format("{} entries", model.size())};
  });
}

}  // namespace smmulab::workloads::qemu
