// SPDX-License-Identifier: Apache-2.0
// ConfigFetch: from a StreamID and SubstreamID to a StreamConfig, one read at a time: level 1 and
// STE, level 1 and CD, the latter two through stage 2 when nested (IHI 0070 chapters 3.3 and 5).
// Raises every configuration event of IHI 0070 7.3 that a lone SMMU can: C_BAD_STREAMID,
// F_STE_FETCH, C_BAD_STE, F_STREAM_DISABLED, C_BAD_SUBSTREAMID, F_CD_FETCH, C_BAD_CD, and the
// stage 2 faults of a CD fetch (CLASS = CD).
//
// Not modelled: F_CFG_CONFLICT, F_VMS_FETCH, a cache of level 1 descriptors (MMU-600 and MMU-700
// have none).
#pragma once

#include <array>
#include <cstdint>

#include "models/smmuv3/hw/stream_config.hpp"
#include "models/smmuv3/hw/table_walk.hpp"

namespace smmulab::smmu::hw {

class ConfigFetch {
 public:
  void begin(const StreamTableBase& table, const Features& features, const Request& request,
             WalkMemo* memo = nullptr);
  [[nodiscard]] Step next() const;
  void supply(const std::array<std::uint64_t, 8>& words);
  void abort();
  void updated(bool done);

  // After kDone. Kind kAbort: terminate without an event.
  [[nodiscard]] const StreamConfig& config() const { return config_; }
  [[nodiscard]] const Fault& fault() const { return fault_; }
  [[nodiscard]] const Ste& ste() const { return ste_; }

 private:
  enum class At : std::uint8_t { kL1Std, kSte, kL1Cd, kCd, kDone, kFault };
  void fail(Event event);
  void on_l1std(std::uint64_t word);
  void on_ste();
  void choose_substream();
  void fetch_cd_side(At at, std::uint64_t address);
  void go_on_s2();

  StreamTableBase table_;
  Features features_;
  Request request_;
  WalkMemo* memo_ = nullptr;
  At at_ = At::kDone;
  bool in_s2_ = false;
  Stage2Step s2_;
  std::uint64_t address_ = 0;  // of the structure: IPA while in_s2_, then physical
  std::uint32_t substream_ = 0;
  Ste ste_;
  StreamConfig config_;
  Fault fault_;
};

}  // namespace smmulab::smmu::hw
