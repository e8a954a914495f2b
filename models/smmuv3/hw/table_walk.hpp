// SPDX-License-Identifier: Apache-2.0
// TableWalk: from an input address to a physical one through stage 1, stage 2 or both: each stage 1
// descriptor is fetched through stage 2, and so is the final address. nS1*(nS2+1)+nS2 reads when
// nothing is cached (IHI 0070 3.3). next() gives one step at a time; walk caches, if there are
// any, are asked in between and told what was read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/stage_walk.hpp"
#include "models/smmuv3/hw/step.hpp"
#include "models/smmuv3/hw/stream_config.hpp"

namespace smmulab::smmu::hw {

// What a cached translation or table belongs to (3.17). Not the StreamID.
struct Tag {
  StreamWorld world = StreamWorld::kNsEl1;
  Asid asid;
  Vmid vmid;
  bool aset = false;
  bool has_asid = true;  // the regime has ASIDs
  friend bool operator==(const Tag&, const Tag&) = default;
};
[[nodiscard]] Tag tag_of(const StreamConfig& config);

// Where walks remember what they read, by stage. Implemented by WalkCaches.
class WalkMemo {
 public:
  WalkMemo() = default;
  WalkMemo(const WalkMemo&) = delete;
  WalkMemo& operator=(const WalkMemo&) = delete;
  virtual ~WalkMemo() = default;
  // The deepest known place of this walk; false if there is none.
  virtual bool find(const Stage& stage, const Tag& tag, std::uint64_t input, WalkPoint& point) = 0;
  virtual void keep(const Stage& stage, const Tag& tag, std::uint64_t input,
                    const WalkPoint& point) = 0;
};

// The whole translation of one input address.
struct Translation {
  std::uint64_t output = 0;
  std::uint8_t reach_log2 = 12;  // least of both stages'
  std::uint8_t page_log2 = 12;
  // What a TLBI by address knows it by: the stage 1 leaf, of which a smaller stage 2 page may have
  // left a fragment only; the stage 2 leaf, if that is all.
  std::uint8_t span_log2 = 12;
  std::uint8_t level = 3;  // of the stage 1 leaf, or of stage 2 if that is all
  bool global = false;
  bool clean = false;
  Permissions perms;
};

// One stage 2 walk within a larger one: the address of a descriptor, of a CD, or the final one.
class Stage2Step {
 public:
  void begin(const Stage& stage, const Tag& tag, std::uint64_t ipa, Access access, WalkMemo* memo);
  [[nodiscard]] const StageWalk& walk() const { return walk_; }
  [[nodiscard]] Step step() const;
  void supply(std::uint64_t word);
  void updated(bool done);

 private:
  void keep_leaf();
  StageWalk walk_;
  WalkMemo* memo_ = nullptr;
  Tag tag_;
};

class TableWalk {
 public:
  // `config` and `memo` must live as long as the walk. REQUIRES: config translates.
  void begin(const StreamConfig& config, std::uint64_t input, Access access,
             WalkMemo* memo = nullptr);
  [[nodiscard]] Step next() const;
  void supply(const std::array<std::uint64_t, 8>& words);
  void abort();
  void updated(bool done);
  // A guess at where the read after this one will be, should it bring `word`.
  [[nodiscard]] std::optional<std::uint64_t> likely_next(std::uint64_t word) const;

  [[nodiscard]] const Translation& translation() const { return result_; }
  // What stage 2 was asked for: the output of stage 1, or the input where there is none. REQUIRES:
  // kDone.
  [[nodiscard]] std::uint64_t intermediate() const {
    return config_->s1 ? s1_.leaf().output : input_;
  }
  [[nodiscard]] const Fault& fault() const { return fault_; }

 private:
  enum class At : std::uint8_t { kS1, kS2Descriptor, kS2Update, kS2Output, kDone, kFault };
  void go_on_s1();
  void keep_s1();
  void go_on_s2();
  void want_s1_descriptor();
  void begin_s2(At at, std::uint64_t ipa, Access access);
  void finish();
  void fail(Event event, bool stage2, std::uint8_t level);

  const StreamConfig* config_ = nullptr;
  WalkMemo* memo_ = nullptr;
  StageWalk s1_;
  Stage2Step s2_;
  std::uint64_t input_ = 0;
  std::uint64_t memo_input_ = 0;  // what walk caches know it by
  std::uint64_t descriptor_pa_ = 0;
  bool descriptor_writable_ = true;
  std::uint64_t ipa_ = 0;  // what stage 2 is translating
  Access access_;
  At at_ = At::kDone;
  Tag tag_;
  Translation result_;
  Fault fault_;
};

}  // namespace smmulab::smmu::hw
