// SPDX-License-Identifier: Apache-2.0
// CommandSeries: commands of one kind that go into the queue one after another, with their
// operands: one CFGI_CD for each stream id of a master, the TLBIs of a range. Rule: Linux 6.12
// arm-smmu-v3.c arm_smmu_sync_cd(), arm_smmu_atc_inv_master(), __arm_smmu_tlb_inv_range(),
// arm_smmu_atc_inv_to_cmd(); layout Arm IHI 0070 chapter 4. The kernel's EL2 commands (E2H hosts)
// are not modelled: TLBI_NH_* stands for them.
#pragma once

#include <cstdint>
#include <vector>

#include "models/smmuv3/driver/command.hpp"
#include "sim/ids.hpp"

namespace smmulab::smmu {

// Where an ATC_INV reaches: naturally aligned, a power of two of at least 4 KiB.
struct AtcSpan {
  std::uint64_t address = 0;  // bytes
  std::uint8_t size = 52;     // log2 of the number of 4 KiB pages; 52: everything
};
[[nodiscard]] AtcSpan atc_span(std::uint64_t iova, std::uint64_t size);

class CommandSeries {
 public:
  static CommandSeries cfgi_ste(StreamId stream);
  static CommandSeries prefetch_config(StreamId stream);
  // !leaf: the L1CD as well.
  static CommandSeries cfgi_cd(const std::vector<StreamId>& streams, std::uint32_t ssid = 0,
                               bool leaf = true);
  // SSID 0: without a PASID (SSV = 0).
  static CommandSeries atc_inv(const std::vector<StreamId>& streams, const AtcSpan& span,
                               std::uint32_t ssid = 0);
  static CommandSeries tlbi_asid(Asid asid);
  static CommandSeries tlbi_vmid(Vmid vmid);    // TLBI_S12_VMALL
  static CommandSeries tlbi_nh_all(Vmid vmid);  // stage 1 of a guest
  static CommandSeries tlbi_guest(Vmid vmid);   // one of a guest's invalidations, TLBI_NH_VA
  // Bytes; `granule` is the size of the leaves that were cleared.
  struct Range {
    std::uint64_t iova = 0, size = 0, granule = 0;
    bool leaf = true;
    bool range_inv = true;
  };
  static CommandSeries tlbi_va(Asid asid, const Range& range);
  static CommandSeries tlbi_ipa(Vmid vmid, const Range& range);

  [[nodiscard]] Command kind() const { return kind_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Operands of the next. REQUIRES: called at most count() times.
  [[nodiscard]] CommandWords next();

 private:
  CommandSeries(Command kind, std::uint64_t count) : kind_(kind), count_(count) {}
  [[nodiscard]] CommandWords next_of_range();

  Command kind_;
  std::uint64_t count_;
  const std::vector<StreamId>* streams_ = nullptr;  // one command for each
  std::size_t at_ = 0;
  StreamId stream_;
  std::uint32_t ssid_ = 0;
  bool leaf_ = true;
  Asid asid_{};
  Vmid vmid_{};
  AtcSpan span_;
  Range range_;              // what is left of it
  std::uint64_t pages_ = 0;  // with range invalidation: left
};

}  // namespace smmulab::smmu
