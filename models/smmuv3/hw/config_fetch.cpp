// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/config_fetch.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr unsigned kL1EntryBytes = 8;

// Log2 of the CDs of a leaf of a two-level table; S1Fmt 1 has leaves of 4K, 2 of 64K.
unsigned cd_leaf_log2(std::uint8_t format) {
  return format == 1 ? 6 : 10;
}

}  // namespace

void ConfigFetch::begin(const StreamTableBase& table, const Features& features,
                        const Request& request, WalkMemo* memo) {
  table_ = table;
  features_ = features;
  request_ = request;
  memo_ = memo;
  in_s2_ = false;
  fault_ = Fault{};
  const std::uint64_t sid = request.stream.value();
  if ((sid >> table.log2_size) != 0 || (sid >> features.sid_bits) != 0) {
    fail(Event::kBadStreamId);
  } else if (table.two_level) {
    at_ = At::kL1Std;
    address_ = table.address + (sid >> table.split) * kL1EntryBytes;
  } else {
    at_ = At::kSte;
    address_ = table.address + (sid << kEntryLog2);
  }
}

Step ConfigFetch::next() const {
  if (at_ == At::kDone || at_ == At::kFault) {
    return Step{at_ == At::kDone ? Step::Kind::kDone : Step::Kind::kFault};
  }
  if (in_s2_) {
    return s2_.step();
  }
  constexpr Step::What kWhat[] = {Step::What::kL1Std, Step::What::kSte, Step::What::kL1Cd,
                                  Step::What::kCd};
  Step step;
  step.kind = Step::Kind::kRead;
  step.what = kWhat[static_cast<std::size_t>(at_)];
  step.words = at_ == At::kSte || at_ == At::kCd ? 8 : 1;
  step.address = address_;
  return step;
}

void ConfigFetch::supply(const std::array<std::uint64_t, 8>& words) {
  if (in_s2_) {
    s2_.supply(words[0]);
    go_on_s2();
    return;
  }
  switch (at_) {
    case At::kL1Std:
      on_l1std(words[0]);
      return;
    case At::kSte:
      ste_ = decode_ste(words);
      on_ste();
      return;
    case At::kL1Cd: {
      const L1Cd l1 = decode_l1cd(words[0]);
      if (!l1.valid) {
        fail(Event::kBadSubstreamId);
        return;
      }
      const std::uint64_t index = substream_ & low_mask(cd_leaf_log2(ste_.s1_format));
      fetch_cd_side(At::kCd, l1.l2_ptr + (index << kEntryLog2));
      return;
    }
    case At::kCd:
      at_ = At::kDone;
      if (const Event event = check_cd(decode_cd(words), ste_, features_, config_);
          event != Event::kNone) {
        fail(event);
      }
      return;
    case At::kDone:
    case At::kFault:
      return;
  }
}

void ConfigFetch::on_l1std(std::uint64_t word) {
  const L1Std l1 = decode_l1std(word);
  const std::uint64_t index = request_.stream.value() & low_mask(table_.split);
  // A span wider than the split is reserved and read as invalid.
  if (l1.span == 0 || l1.span > table_.split + 1U || (index >> (l1.span - 1U)) != 0) {
    fail(Event::kBadStreamId);
    return;
  }
  at_ = At::kSte;
  address_ = l1.l2_ptr + (index << kEntryLog2);
}

void ConfigFetch::on_ste() {
  if (const Event event = check_ste(ste_, features_, config_); event != Event::kNone) {
    fail(event);
    return;
  }
  at_ = At::kDone;
  if (config_.kind != StreamConfig::Kind::kAbort) {
    choose_substream();
  }
}

void ConfigFetch::choose_substream() {
  const bool given = request_.substream.has_value();
  if (!config_.s1) {
    if (given) {
      fail(Event::kBadSubstreamId);
    }
    return;
  }
  const bool substreams = ste_.s1_cd_max > 0;
  substream_ = given ? request_.substream->value() : 0;
  if (given && (!substreams || (substream_ >> ste_.s1_cd_max) != 0)) {
    fail(Event::kBadSubstreamId);
    return;
  }
  if (substreams) {
    const std::uint8_t without = ste_.s1_default_substream;
    if ((!given && without == 0) || (given && substream_ == 0 && without == 2)) {
      fail(Event::kStreamDisabled);
      return;
    }
    if (!given && without == 1) {  // stage 1 is bypassed
      config_.s1 = false;
      config_.kind = config_.s2 ? StreamConfig::Kind::kTranslate : StreamConfig::Kind::kBypass;
      config_.stall = config_.s2_stall;
      return;
    }
  }
  if (substreams && ste_.s1_format != 0) {
    const std::uint64_t index = substream_ >> cd_leaf_log2(ste_.s1_format);
    fetch_cd_side(At::kL1Cd, ste_.s1_context_ptr + index * kL1EntryBytes);
  } else {
    fetch_cd_side(At::kCd,
                  ste_.s1_context_ptr + (static_cast<std::uint64_t>(substream_) << kEntryLog2));
  }
}

void ConfigFetch::fetch_cd_side(At at, std::uint64_t address) {
  at_ = at;
  address_ = address;
  if (config_.s2) {
    in_s2_ = true;
    Tag tag = tag_of(config_);
    tag.has_asid = false;  // stage 2 entries have none, and the CD is not known yet
    tag.asid = Asid{};
    s2_.begin(config_.tt2, tag, address, Access{false, true, false}, memo_);
    go_on_s2();
  }
}

void ConfigFetch::go_on_s2() {
  const StageWalk& walk = s2_.walk();
  if (walk.state() == StageWalk::State::kFault) {
    fault_ =
        Fault{walk.fault(), FaultClass::kCd, true, walk.level(), request_.address, walk.input()};
    at_ = At::kFault;
  } else if (walk.state() == StageWalk::State::kLeaf) {
    in_s2_ = false;
    address_ = walk.leaf().output;
  }
}

void ConfigFetch::updated(bool done) {
  s2_.updated(done);
  go_on_s2();
}

void ConfigFetch::abort() {
  if (in_s2_) {
    fault_ =
        Fault{Event::kWalkEabt,   FaultClass::kCd,   true, s2_.walk().level(), request_.address,
              s2_.walk().input(), s2_.step().address};
    at_ = At::kFault;
    return;
  }
  fail(at_ == At::kL1Std || at_ == At::kSte ? Event::kSteFetch : Event::kCdFetch);
  fault_.fetch = address_;
}

void ConfigFetch::fail(Event event) {
  fault_ = Fault{event, FaultClass::kInput, false, 0, request_.address, 0};
  at_ = At::kFault;
}

}  // namespace smmulab::smmu::hw
