// SPDX-License-Identifier: Apache-2.0
// SmmuCaches: one set of the caches of an SMMU put together without time: a config cache, a micro
// and a main TLB, walk caches. translate() is the whole path, apply() a command; for studies of
// reach and size, for replays of recorded logs, and as the functional truth of a timed pipeline.
//
// Not modelled here: several TBUs, time, SYNC (everything is done at once), prefetch.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/config_cache.hpp"
#include "models/smmuv3/hw/tlb.hpp"
#include "models/smmuv3/hw/translator.hpp"
#include "models/smmuv3/hw/walk_cache.hpp"

namespace smmulab::smmu::hw {

struct CachesShape {
  CacheShape config;
  CacheShape micro;  // 0 entries: none
  CacheShape main;
  WalkCaches::Shape walk;
  bool honour_global = true;
};

class SmmuCaches {
 public:
  enum class From : std::uint8_t { kMicro, kMain, kWalk, kNone };  // kNone: no translation needed

  struct Result {
    Outcome outcome;
    From from = From::kNone;
    bool config_hit = false;
  };
  SmmuCaches(const CachesShape& shape, const Features& features, const StreamTableBase& streams)
      : features_(features),
        streams_(streams),
        config_(shape.config),
        micro_(shape.micro, shape.honour_global),
        main_(shape.main, shape.honour_global),
        walk_(shape.walk) {}

  Result translate(Memory& memory, const Request& request);
  // Everything but ATC_INV, which goes to the devices. Returns how many entries went.
  std::uint32_t apply(const Command& command);

  // The parts of translate(), for callers that do other things in between. config() is nothing on a
  // fault; it is valid until the next call.
  const StreamConfig* config(Memory& memory, const Request& request, Result& result);
  bool lookup(const StreamConfig& config, const Request& request, Result& result);
  void walk(Memory& memory, const StreamConfig& config, const Request& request, Result& result);

  [[nodiscard]] const ConfigCache& config_cache() const { return config_; }
  [[nodiscard]] const Tlb& micro() const { return micro_; }
  [[nodiscard]] const Tlb& main() const { return main_; }
  [[nodiscard]] const WalkCaches& walk_caches() const { return walk_; }

 private:
  Features features_;
  StreamTableBase streams_;
  ConfigCache config_;
  Tlb micro_;
  Tlb main_;
  WalkCaches walk_;
  StreamConfig fetched_;
};

}  // namespace smmulab::smmu::hw
