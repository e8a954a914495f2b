// SPDX-License-Identifier: Apache-2.0
// SetAssoc: sets of ways of entries with a replacement policy; the body of every cache here. It
// does not allocate after construction. What an entry's key is, and which set it belongs to, is the
// cache's business.
//
// So that a look-up does not touch the entries of all ways, an entry may have a mark: some bits of
// a hash of what makes two entries the same. Ways with another mark are passed by; where there are
// many, the way in which a mark was found last is looked at first.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "models/smmuv3/hw/replacement.hpp"
#include "sim/check.hpp"

namespace smmulab::smmu::hw {

struct CacheShape {
  std::uint32_t entries = 64;
  std::uint32_t ways = 4;  // 0: fully associative
  Policy policy = Policy::kRoundRobin;
  std::uint64_t seed = 1;  // of random replacement
};

class Mark {
 public:
  constexpr Mark() = default;  // all alike
  // REQUIRES: equal for entries that a caller's `is_it` takes for one.
  constexpr explicit Mark(std::uint64_t key)
      : value_(static_cast<std::uint32_t>(key * 0x9E37'79B9'7F4A'7C15 >> 32U) | 1U) {}
  [[nodiscard]] constexpr std::uint32_t value() const { return value_; }  // not 0

 private:
  std::uint32_t value_ = 1;
};

template <class Entry>
class SetAssoc {
 public:
  // REQUIRES: ways divides entries (entries 0: a cache that holds nothing).
  explicit SetAssoc(const CacheShape& shape)
      : ways_(shape.ways == 0 ? shape.entries : shape.ways),
        sets_(shape.entries == 0 ? 0 : shape.entries / ways_),
        masked_(std::has_single_bit(sets_)),
        entries_(shape.entries),
        marks_(shape.entries),
        recent_(ways_ > kFewWays && ways_ <= kMaxRecent ? kRecent : 0),
        replacement_(shape.policy, shape.entries == 0 ? 1 : sets_, shape.entries == 0 ? 1 : ways_,
                     shape.seed) {
    SMMULAB_CHECK(shape.entries == 0 || shape.entries % ways_ == 0, "sets of equal size");
  }

  [[nodiscard]] std::uint32_t sets() const { return sets_; }
  [[nodiscard]] std::uint32_t capacity() const {
    return static_cast<std::uint32_t>(entries_.size());
  }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] std::uint32_t set_of(std::uint64_t hash) const {
    // gem5 has sets that are no power of 2, and takes the remainder, too.
    return static_cast<std::uint32_t>(masked_      ? hash & (sets_ - 1U)
                                      : sets_ == 0 ? 0
                                                   : hash % sets_);
  }

  // The entry of the set that `is_it` says yes to, or nullptr. Counts as a use.
  template <class Is>
  Entry* find(std::uint32_t set, const Is& is_it) {
    if (sets_ == 0) {
      return nullptr;
    }
    const std::size_t first = std::size_t{set} * ways_;
    for (std::uint32_t way = 0; way < ways_; ++way) {
      if (marks_[first + way] != 0 && is_it(entries_[first + way])) {
        replacement_.hit(set, way);
        return &entries_[first + way];
      }
    }
    return nullptr;
  }
  // The same, where what `is_it` says yes to has this mark; of several, any.
  template <class Is>
  Entry* find(std::uint32_t set, Mark mark, const Is& is_it) {
    if (sets_ == 0) {
      return nullptr;
    }
    const std::size_t first = std::size_t{set} * ways_;
    if (!recent_.empty()) {
      const std::uint32_t way = recent_[mark.value() >> kRecentShift];
      if (marks_[first + way] == mark.value() && is_it(entries_[first + way])) {
        replacement_.hit(set, way);
        return &entries_[first + way];
      }
    }
    for (std::uint32_t way = next(first, 0, mark.value()); way < ways_;
         way = next(first, way + 1, mark.value())) {
      if (is_it(entries_[first + way])) {
        replacement_.hit(set, way);
        if (!recent_.empty()) {
          recent_[mark.value() >> kRecentShift] = static_cast<std::uint8_t>(way);
        }
        return &entries_[first + way];
      }
    }
    return nullptr;
  }

  // Puts it in place of the entry that `is_it` says yes to, else in a free way, else in a victim's.
  // `gone` is called with each entry that is lost.
  template <class Is, class Gone>
  void fill(std::uint32_t set, const Entry& entry, const Is& is_it, const Gone& gone) {
    if (Entry* const at = place(set, {}, is_it, gone)) {
      *at = entry;
    }
  }
  // The same for an entry that the caller writes there at once. nullptr: a cache that holds
  // nothing.
  template <class Is, class Gone>
  [[nodiscard]] Entry* place(std::uint32_t set, Mark mark, const Is& is_it, const Gone& gone) {
    if (sets_ == 0) {
      return nullptr;
    }
    const std::uint32_t way = way_for(set, mark, is_it, gone);
    const std::size_t at = std::size_t{set} * ways_ + way;
    if (marks_[at] != 0) {
      gone(entries_[at]);
    } else {
      ++size_;
    }
    marks_[at] = mark.value();
    replacement_.filled(set, way);
    return &entries_[at];
  }

  // Removes what `is_it` says yes to; returns how many.
  template <class Is, class Gone>
  std::uint32_t erase_in_set(std::uint32_t set, const Is& is_it, const Gone& gone) {
    std::uint32_t count = 0;
    for (std::size_t at = std::size_t{set} * ways_; at < (std::size_t{set} + 1) * ways_; ++at) {
      if (marks_[at] != 0 && is_it(entries_[at])) {
        marks_[at] = 0;
        --size_;
        gone(entries_[at]);
        ++count;
      }
    }
    return count;
  }
  template <class Is, class Gone>
  std::uint32_t erase_if(const Is& is_it, const Gone& gone) {
    std::uint32_t count = 0;
    for (std::uint32_t set = 0; set < sets_ && size_ > 0; ++set) {
      count += erase_in_set(set, is_it, gone);
    }
    return count;
  }
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (std::size_t at = 0; at < entries_.size(); ++at) {
      if (marks_[at] != 0) {
        visit(entries_[at]);
      }
    }
  }
  [[nodiscard]] std::uint64_t flushes() const { return flushes_; }  // of Policy::kFlushAll

 private:
  static constexpr std::uint32_t kFewWays = 8;
  static constexpr std::uint32_t kMaxRecent = 256;  // ways that recent_ can name
  static constexpr std::uint32_t kRecent = 256;
  static constexpr unsigned kRecentShift = 24;  // of a mark: a hash's best bits are its highest

  // The next way from `way` on with this mark, of the set whose first way is `first`; ways_: none.
  [[nodiscard]] std::uint32_t next(std::size_t first, std::uint32_t way, std::uint32_t mark) const {
    const std::uint32_t* const marks = marks_.data() + first;
    // Four at once, without a branch for each.
    while (way + 4 <= ways_ && !(static_cast<unsigned>(marks[way] == mark) |
                                 static_cast<unsigned>(marks[way + 1] == mark) |
                                 static_cast<unsigned>(marks[way + 2] == mark) |
                                 static_cast<unsigned>(marks[way + 3] == mark))) {
      way += 4;
    }
    while (way < ways_ && marks[way] != mark) {
      ++way;
    }
    return way;
  }
  template <class Is, class Gone>
  std::uint32_t way_for(std::uint32_t set, Mark mark, const Is& is_it, const Gone& gone) {
    const std::size_t first = std::size_t{set} * ways_;
    for (std::uint32_t way = next(first, 0, mark.value()); way < ways_;
         way = next(first, way + 1, mark.value())) {
      if (is_it(entries_[first + way])) {
        return way;
      }
    }
    if (const std::uint32_t free = size_ == entries_.size() ? ways_ : next(first, 0, 0);
        free < ways_) {
      return free;
    }
    if (replacement_.policy() != Policy::kFlushAll) {
      return replacement_.victim(set);
    }
    ++flushes_;
    erase_if([](const Entry&) { return true; }, gone);
    return 0;
  }

  std::uint32_t ways_;
  std::uint32_t sets_;
  bool masked_;  // a power of 2
  std::uint32_t size_ = 0;
  std::uint64_t flushes_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> marks_;  // 0: nothing there
  std::vector<std::uint8_t> recent_;  // ways in which marks were found, by the marks' highest bits
  Replacement replacement_;
};

}  // namespace smmulab::smmu::hw
