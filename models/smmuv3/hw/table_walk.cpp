// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/table_walk.hpp"

#include <algorithm>

#include "models/smmuv3/hw/descriptor.hpp"

namespace smmulab::smmu::hw {
namespace {

// A leaf as a walk cache keeps it: good for every address within its reach.
WalkPoint leaf_point(const Leaf& leaf) {
  return {true, leaf.level, 0, 0, leaf};
}

Step descriptor_step(const StageWalk& walk, std::uint64_t address) {
  Step step;
  step.what = Step::What::kDescriptor;
  step.stage = walk.stage().number;
  step.level = walk.level();
  step.address = address;
  step.kind = walk.state() == StageWalk::State::kUpdate ? Step::Kind::kUpdate : Step::Kind::kRead;
  if (step.kind == Step::Kind::kUpdate) {
    step.expected = walk.expected();
    step.desired = walk.desired();
  }
  return step;
}

}  // namespace

Tag tag_of(const StreamConfig& config) {
  Tag tag;
  tag.world = config.world;
  tag.has_asid =
      config.s1 && (config.world == StreamWorld::kNsEl1 || config.world == StreamWorld::kEl2E2h);
  tag.asid = tag.has_asid ? config.asid : Asid{};
  tag.vmid = config.vmid;
  tag.aset = config.aset;
  return tag;
}

void Stage2Step::begin(const Stage& stage, const Tag& tag, std::uint64_t ipa, Access access,
                       WalkMemo* memo) {
  memo_ = memo;
  tag_ = tag;
  walk_.begin(stage, ipa, access);
  WalkPoint point;
  if (memo != nullptr && walk_.state() == StageWalk::State::kDescriptor &&
      memo->find(stage, tag, ipa, point)) {
    walk_.resume(point);
  }
}

Step Stage2Step::step() const {
  return descriptor_step(walk_, walk_.descriptor_address());
}

void Stage2Step::supply(std::uint64_t word) {
  walk_.supply(word);
  if (memo_ == nullptr) {
    return;
  }
  if (walk_.state() == StageWalk::State::kDescriptor) {
    memo_->keep(walk_.stage(), tag_, walk_.input(), walk_.point());
  } else {
    keep_leaf();
  }
}

void Stage2Step::updated(bool done) {
  walk_.updated(done);
  if (memo_ != nullptr) {
    keep_leaf();
  }
}

void Stage2Step::keep_leaf() {
  if (walk_.state() == StageWalk::State::kLeaf) {
    memo_->keep(walk_.stage(), tag_, walk_.input(), leaf_point(walk_.leaf()));
  }
}

void TableWalk::begin(const StreamConfig& config, std::uint64_t input, Access access,
                      WalkMemo* memo) {
  config_ = &config;
  memo_ = memo;
  input_ = input;
  access_ = effective_access(config, access);
  tag_ = tag_of(config);
  fault_ = Fault{};
  descriptor_writable_ = true;
  if (!config.s1) {
    begin_s2(At::kS2Output, input, access_);
    return;
  }
  const Stage& stage = config.stage1_for(input);
  memo_input_ = canonical_input(config, input);
  s1_.begin(stage, input, access_);
  WalkPoint point;
  if (memo != nullptr && s1_.state() == StageWalk::State::kDescriptor &&
      memo->find(stage, tag_, memo_input_, point)) {
    s1_.resume(point);
  }
  go_on_s1();
}

void TableWalk::go_on_s1() {
  switch (s1_.state()) {
    case StageWalk::State::kDescriptor:
      want_s1_descriptor();
      return;
    case StageWalk::State::kUpdate:
      if (!descriptor_writable_) {
        // The update is a write of the table, which stage 2 must allow.
        begin_s2(At::kS2Update, s1_.descriptor_address(), Access{true, true, false});
        return;
      }
      at_ = At::kS1;
      return;
    case StageWalk::State::kLeaf:
      if (config_->s2) {
        begin_s2(At::kS2Output, s1_.leaf().output, access_);
      } else {
        finish();
      }
      return;
    case StageWalk::State::kFault:
      fail(s1_.fault(), false, s1_.level());
      return;
  }
}

void TableWalk::want_s1_descriptor() {
  if (config_->s2) {
    begin_s2(At::kS2Descriptor, s1_.descriptor_address(), Access{false, true, false});
    return;
  }
  descriptor_pa_ = s1_.descriptor_address();
  at_ = At::kS1;
}

void TableWalk::begin_s2(At at, std::uint64_t ipa, Access access) {
  at_ = at;
  ipa_ = ipa;
  s2_.begin(config_->tt2, tag_, ipa, access, memo_);
  go_on_s2();
}

void TableWalk::go_on_s2() {
  const StageWalk& walk = s2_.walk();
  if (walk.state() == StageWalk::State::kFault) {
    fail(walk.fault(), true, walk.level());
    return;
  }
  if (walk.state() != StageWalk::State::kLeaf) {
    return;
  }
  if (at_ == At::kS2Output) {
    finish();
    return;
  }
  descriptor_pa_ = walk.leaf().output;
  descriptor_writable_ = walk.leaf().perms.allow(Access{true, true, false});
  at_ = At::kS1;
}

Step TableWalk::next() const {
  switch (at_) {
    case At::kS1:
      return descriptor_step(s1_, descriptor_pa_);
    case At::kS2Descriptor:
    case At::kS2Update:
    case At::kS2Output:
      return s2_.step();
    case At::kDone:
      return Step{Step::Kind::kDone};
    case At::kFault:
      break;
  }
  return Step{Step::Kind::kFault};
}

void TableWalk::supply(const std::array<std::uint64_t, 8>& words) {
  if (at_ != At::kS1) {
    s2_.supply(words[0]);
    go_on_s2();
    return;
  }
  s1_.supply(words[0]);
  keep_s1();
  go_on_s1();
}

// The next table of this stage, or what lies behind the stage 2 page of a stage 1 descriptor.
std::optional<std::uint64_t> TableWalk::likely_next(std::uint64_t word) const {
  const StageWalk& walk = at_ == At::kS1 ? s1_ : s2_.walk();
  const Granule g = walk.stage().granule;
  const std::uint64_t page = descriptor::address(word, g, page_log2(g));
  if (walk.level() == kLastLevel) {
    return at_ == At::kS2Descriptor ? std::optional{page | (ipa_ & low_mask(page_log2(g)))}
                                    : std::nullopt;
  }
  if (at_ == At::kS1 && config_->s2) {
    return std::nullopt;
  }
  return page + table_index(g, walk.level() + 1U, walk.input()) * 8;
}

void TableWalk::updated(bool done) {
  if (at_ != At::kS1) {
    s2_.updated(done);
    go_on_s2();
    return;
  }
  s1_.updated(done);
  if (done) {
    keep_s1();
  }
  go_on_s1();
}

// What was just read, into the walk caches.
void TableWalk::keep_s1() {
  if (memo_ == nullptr) {
    return;
  }
  if (s1_.state() == StageWalk::State::kDescriptor) {
    memo_->keep(s1_.stage(), tag_, memo_input_, s1_.point());
  } else if (s1_.state() == StageWalk::State::kLeaf) {
    memo_->keep(s1_.stage(), tag_, memo_input_, leaf_point(s1_.leaf()));
  }
}

void TableWalk::abort() {
  const bool stage2 = at_ != At::kS1;
  const std::uint64_t fetch = next().address;
  fail(Event::kWalkEabt, stage2, stage2 ? s2_.walk().level() : s1_.level());
  fault_.fetch = fetch;
  if (!stage2) {
    fault_.cls = FaultClass::kTableWalk;  // unlike the other faults of stage 1 (7.3.12)
  }
}

void TableWalk::finish() {
  at_ = At::kDone;
  const Leaf& last = config_->s2 ? s2_.walk().leaf() : s1_.leaf();
  const std::uint8_t span = config_->s1 ? s1_.leaf().reach_log2 : last.reach_log2;
  result_ = {last.output, last.reach_log2, last.page_log2, span,
             last.level,  last.global,     last.clean,     last.perms};
  if (config_->s1 && config_->s2) {
    const Leaf& first = s1_.leaf();
    result_.reach_log2 = std::min(first.reach_log2, last.reach_log2);
    result_.page_log2 = std::min(first.page_log2, last.page_log2);
    result_.level = first.level;
    result_.global = first.global;
    result_.clean = first.clean || last.clean;
    result_.perms = first.perms & last.perms;
  }
}

void TableWalk::fail(Event event, bool stage2, std::uint8_t level) {
  const bool table = at_ == At::kS2Descriptor || at_ == At::kS2Update;
  const bool update = at_ == At::kS2Update;
  at_ = At::kFault;
  fault_ = Fault{event,  table ? FaultClass::kTableWalk : FaultClass::kInput,
                 stage2, level,
                 input_, stage2 ? ipa_ : 0,
                 0,      update};
}

}  // namespace smmulab::smmu::hw
