// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/stage_walk.hpp"

#include <algorithm>

#include "models/smmuv3/hw/descriptor.hpp"

namespace smmulab::smmu::hw {
namespace {

using descriptor::Kind;

bool is_beyond(std::uint64_t address, unsigned bits) {
  return (address >> bits) != 0;
}

Permissions stage2_permissions(std::uint64_t word) {
  const bool read = (word & descriptor::kS2Read) != 0;
  std::uint8_t bits = 0;
  bits |= read ? Permissions::kUr | Permissions::kPr : 0;
  bits |= (word & descriptor::kS2Write) != 0 ? Permissions::kWrites : 0;
  bits |= read && (word & descriptor::kUxn) == 0 ? Permissions::kUx | Permissions::kPx : 0;
  return Permissions{bits};
}

}  // namespace

void StageWalk::begin(const Stage& stage, std::uint64_t input, Access access) {
  stage_ = &stage;
  input_ = input;
  access_ = access;
  level_ = stage.start_level;
  table_ = stage.table;
  controls_ = 0;
  fault_ = Event::kNone;
  state_ = State::kDescriptor;
  if (!stage.enabled || !in_range()) {
    fail(Event::kTranslation);
  }
}

bool StageWalk::in_range() const {
  const unsigned bits = stage_->input_bits;
  if (stage_->number == 2) {
    return !is_beyond(input_, bits);
  }
  const unsigned top = stage_->top_byte_ignored ? 55 : 63;
  const std::uint64_t above = field(input_, top, bits);
  return above == (stage_->upper ? low_mask(top - bits + 1) : 0);
}

bool StageWalk::resume(const WalkPoint& point) {
  if (!point.is_leaf) {
    level_ = point.level;
    table_ = point.table;
    controls_ = point.controls;
    return true;
  }
  if (!point.leaf.perms.allow(access_)) {
    if (point.leaf.clean && access_.write) {
      return false;
    }
    level_ = point.level;
    fail(Event::kPermission);
    return true;
  }
  level_ = point.level;
  leaf_ = point.leaf;
  state_ = State::kLeaf;
  return true;
}

std::uint64_t StageWalk::descriptor_address() const {
  const Granule g = stage_->granule;
  if (level_ == stage_->start_level) {
    // Base bits below the size of the root table are RES0.
    const unsigned bits = std::max(root_bits(g, level_, stage_->input_bits) + 3, 4U);
    const std::uint64_t index = root_index(g, level_, stage_->input_bits, input_);
    return (table_ & ~low_mask(bits)) + index * 8;
  }
  return table_ + table_index(g, level_, input_) * 8;
}

void StageWalk::supply(std::uint64_t word) {
  const Granule g = stage_->granule;
  switch (descriptor::kind(word, g, level_, stage_->oa52())) {
    case Kind::kInvalid:
      fail(Event::kTranslation);
      return;
    case Kind::kLeaf:
      supply_leaf(word);
      return;
    case Kind::kTable:
      break;
  }
  const std::uint64_t next = descriptor::address(word, g, page_log2(g));
  if (is_beyond(next, stage_->output_bits)) {
    fail(Event::kAddrSize);
    return;
  }
  if (stage_->number == 1 && !stage_->hierarchical_off) {
    controls_ |= static_cast<std::uint8_t>(field(word, 62, 59));
  }
  table_ = next;
  ++level_;
}

Permissions StageWalk::permissions(std::uint64_t word) const {
  if (stage_->number == 2) {
    return stage2_permissions(word);
  }
  const std::uint64_t table = make_field(controls_, 62, 59);
  const bool read_only =
      (word & descriptor::kApReadOnly) != 0 || (table & descriptor::kApTableReadOnly) != 0;
  const bool no_user_exec = (word & descriptor::kUxn) != 0 || (table & descriptor::kUxnTable) != 0;
  std::uint8_t bits = Permissions::kPr;
  bits |= read_only ? 0 : Permissions::kPw;
  if (!stage_->user_regime) {
    // One privilege level: what it may, both kinds of request may; XN is bit 54.
    bits |= Permissions::kUr | (read_only ? 0 : Permissions::kUw);
    bits |= no_user_exec ? 0 : Permissions::kUx | Permissions::kPx;
    return Permissions{bits};
  }
  const bool user = (word & descriptor::kApUser) != 0 && (table & descriptor::kApTableNoUser) == 0;
  const bool no_priv_exec = (word & descriptor::kPxn) != 0 || (table & descriptor::kPxnTable) != 0;
  bits |= user ? Permissions::kUr : 0;
  bits |= user && !read_only ? Permissions::kUw : 0;
  bits |= no_user_exec ? 0 : Permissions::kUx;
  // What unprivileged code can write is never executed with privilege.
  bits |= no_priv_exec || (user && !read_only) ? 0 : Permissions::kPx;
  return Permissions{bits};
}

void StageWalk::make_leaf(std::uint64_t word) {
  const Granule g = stage_->granule;
  const unsigned size = level_log2(g, level_);
  const bool contiguous = (word & descriptor::kContiguous) != 0;
  leaf_.output = descriptor::address(word, g, size) | (input_ & low_mask(size));
  leaf_.level = level_;
  leaf_.page_log2 = static_cast<std::uint8_t>(size);
  leaf_.reach_log2 =
      static_cast<std::uint8_t>(size + (contiguous ? contiguous_log2(g, level_) : 0));
  leaf_.global =
      stage_->number == 1 && (!stage_->user_regime || (word & descriptor::kNotGlobal) == 0);
  leaf_.clean = false;
  leaf_.perms = permissions(word);
}

void StageWalk::supply_leaf(std::uint64_t word) {
  word_ = word;
  desired_ = word;
  make_leaf(word);
  if (is_beyond(leaf_.output, stage_->output_bits)) {
    fail(Event::kAddrSize);
    return;
  }
  if ((word & descriptor::kAccessFlag) == 0) {
    if (stage_->hw_access) {
      desired_ |= descriptor::kAccessFlag;
    } else if (!stage_->af_fault_off) {
      fail(Event::kAccess);
      return;
    }
  }
  // The word as it would be once marked dirty.
  const bool manages = stage_->hw_dirty && (word & descriptor::kDbm) != 0;
  const std::uint64_t dirty =
      stage_->number == 1 ? word & ~descriptor::kApReadOnly : word | descriptor::kS2Write;
  if (manages && dirty != word) {
    const Permissions then = permissions(dirty);
    leaf_.clean = (then.bits() & Permissions::kWrites & ~leaf_.perms.bits()) != 0;
    if (access_.write && then.allow(access_)) {
      desired_ = dirty | (desired_ & descriptor::kAccessFlag);
      leaf_.perms = then;
      leaf_.clean = false;
    }
  }
  if (!leaf_.perms.allow(access_)) {
    fail(Event::kPermission);
    return;
  }
  state_ = desired_ == word_ ? State::kLeaf : State::kUpdate;
}

void StageWalk::updated(bool done) {
  state_ = done ? State::kLeaf : State::kDescriptor;
}

}  // namespace smmulab::smmu::hw
