// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/tlb.hpp"

#include <algorithm>
#include <bit>

namespace smmulab::smmu::hw {
namespace {

bool same_tag(const TlbEntry& entry, const Tag& tag, bool stage1) {
  return entry.stage1 == stage1 && entry.tag.world == tag.world && entry.tag.vmid == tag.vmid &&
         entry.tag.aset == tag.aset && (entry.global || entry.tag.asid == tag.asid);
}

// Same for entries of one size and place.
Mark mark_of(std::uint64_t input, unsigned reach) {
  return Mark{(input >> reach) << 6U | reach};
}

}  // namespace

bool covers_tag(const TlbInvalidation& what, const Tag& tag, bool stage1, bool global) {
  const bool el2 = tag.world == StreamWorld::kEl2 || tag.world == StreamWorld::kEl2E2h;
  const bool world = tag.world == StreamWorld::kNsEl1 ? what.el1 : el2 ? what.el2 : what.el3;
  if (!world || !(stage1 ? what.stage1 : what.stage2)) {
    return false;
  }
  if (what.vmid && *what.vmid != tag.vmid) {
    return false;
  }
  if (!what.asid || !tag.has_asid) {
    return true;
  }
  return global ? what.globals : *what.asid == tag.asid;
}

bool covers_range(const TlbInvalidation& what, std::uint64_t input, unsigned log2) {
  return !what.by_address || (input <= what.last && (input | low_mask(log2)) >= what.first);
}

bool covers(const TlbInvalidation& what, const TlbEntry& entry) {
  return covers_tag(what, entry.tag, entry.stage1, entry.global) &&
         covers_range(what, entry.input & ~low_mask(entry.span_log2), entry.span_log2) &&
         (what.level == 0 || what.level == entry.level);
}

Translation Tlb::Hit::translation(std::uint64_t input) const {
  Translation t;
  t.output = output(input);
  t.reach_log2 = entry->reach_log2;
  t.page_log2 = entry->reach_log2;
  t.span_log2 = entry->span_log2;
  t.level = entry->level;
  t.global = entry->global;
  t.clean = entry->clean;
  t.perms = entry->perms;
  return t;
}

std::uint32_t Tlb::set_of(const Tag& tag, std::uint64_t input, unsigned reach) const {
  // VMIDs are spread over the sets, but not ASIDs: a global entry is found from any.
  return cache_.set_of((input >> reach) + tag.vmid.value());
}

inline const TlbEntry* Tlb::find(const Tag& tag, bool stage1, std::uint64_t input,
                                 std::uint32_t& probes) {
  const bool full = cache_.sets() <= 1;
  std::uint64_t sizes = full ? sizes_ & (~sizes_ + 1) : sizes_;
  for (; sizes != 0; sizes &= sizes - 1) {
    const auto size = static_cast<unsigned>(std::countr_zero(sizes));
    ++probes;
    const auto is_it = [&](const TlbEntry& entry) {
      return (entry.input ^ input) >> entry.reach_log2 == 0 && same_tag(entry, tag, stage1) &&
             (full || entry.reach_log2 == size);
    };
    // Fully associative with several sizes: the first way that does, of whatever size.
    const TlbEntry* const entry =
        full && (sizes_ & (sizes_ - 1)) != 0
            ? cache_.find(0, is_it)
            : cache_.find(full ? 0 : set_of(tag, input, size), mark_of(input, size), is_it);
    if (entry != nullptr) {
      return entry;
    }
  }
  return nullptr;
}

Tlb::Hit Tlb::lookup(const Tag& tag, bool stage1, std::uint64_t input, const Access& access) {
  ++stats_.lookups;
  Hit hit;
  hit.entry = find(tag, stage1, input, hit.probes);
  stats_.probes += hit.probes;
  if (hit.entry != nullptr) {
    hit.allowed = hit.entry->perms.allow(access);
    if (!hit.allowed && hit.entry->clean && access.write) {
      hit.entry = nullptr;
    }
  }
  stats_.misses += hit.entry == nullptr ? 1 : 0;
  return hit;
}

const TlbEntry* Tlb::lookup_hit(const Tag& tag, bool stage1, std::uint64_t input,
                                const Access& access) {
  std::uint32_t probes = 0;
  const TlbEntry* const entry = find(tag, stage1, input, probes);
  if (entry == nullptr || !entry->perms.allow(access)) {
    return nullptr;
  }
  ++stats_.lookups;
  stats_.probes += probes;
  return entry;
}

void Tlb::fill(const Tag& tag, bool stage1, std::uint64_t input, const Translation& t,
               std::uint32_t owner) {
  ++stats_.fills;
  const std::uint64_t first = input & ~low_mask(t.reach_log2);
  const bool global = t.global && honour_global_;
  const auto same = [&](const TlbEntry& old) {
    return old.input == first && old.reach_log2 == t.reach_log2 && same_tag(old, tag, stage1) &&
           old.global == global;
  };
  TlbEntry* const place =
      cache_.place(set_of(tag, input, t.reach_log2), mark_of(input, t.reach_log2), same,
                   [this](const TlbEntry& old) { gone(old); });
  if (place == nullptr) {
    return;
  }
  TlbEntry& entry = *place;
  entry.tag = tag;
  entry.reach_log2 = t.reach_log2;
  entry.span_log2 = std::max(t.span_log2, t.reach_log2);
  entry.input = first;
  entry.output = t.output - (input - first);
  entry.level = t.level;
  entry.stage1 = stage1;
  entry.global = global;
  entry.clean = t.clean;
  entry.perms = t.perms;
  entry.owner = reach_ == nullptr ? 0 : owner;
  if (entry.owner != 0) {
    reach_->covered(entry.owner, std::int64_t{1} << entry.reach_log2);
  }
  ++live_[entry.reach_log2];
  sizes_ |= std::uint64_t{1} << entry.reach_log2;
  if (entry.span_log2 > entry.reach_log2) {
    ++fragments_[entry.span_log2];
    spans_ |= std::uint64_t{1} << entry.span_log2;
  }
}

void Tlb::gone(const TlbEntry& old) {
  if (old.owner != 0) {
    reach_->covered(old.owner, -(std::int64_t{1} << old.reach_log2));
  }
  if (--live_[old.reach_log2] == 0) {
    sizes_ &= ~(std::uint64_t{1} << old.reach_log2);
  }
  if (old.span_log2 > old.reach_log2 && --fragments_[old.span_log2] == 0) {
    spans_ &= ~(std::uint64_t{1} << old.span_log2);
  }
}

// By address only the sets that can hold such entries are looked at, if these are the fewer. With
// fragments these are the sets of the whole leaf.
template <class Gone>
std::uint32_t Tlb::erase(const TlbInvalidation& what, const Gone& gone) {
  const auto is_it = [&what](const TlbEntry& entry) { return covers(what, entry); };
  if (!what.by_address || !what.vmid) {
    return cache_.erase_if(is_it, gone);
  }
  // The highest bit alone, and what is below it: offsets within the largest of those leaves.
  const std::uint64_t widest =
      spans_ == 0 ? 0 : low_mask(63U - static_cast<unsigned>(std::countl_zero(spans_)));
  const std::uint64_t first = what.first & ~widest, last = what.last | widest;
  std::uint32_t count = 0;
  Tag tag;
  tag.vmid = *what.vmid;
  for (std::uint64_t sizes = sizes_; sizes != 0; sizes &= sizes - 1) {
    const auto size = static_cast<unsigned>(std::countr_zero(sizes));
    const std::uint64_t pages = (last >> size) - (first >> size);
    if (pages >= cache_.sets() - 1ULL) {
      return count + cache_.erase_if(is_it, gone);
    }
    for (std::uint64_t page = 0; page <= pages; ++page) {
      const std::uint64_t input = first + (page << size);
      count += cache_.erase_in_set(set_of(tag, input, size), is_it, gone);
    }
  }
  return count;
}

std::uint32_t Tlb::invalidate(const TlbInvalidation& what) {
  const std::uint32_t count = erase(what, [this](const TlbEntry& old) { gone(old); });
  stats_.invalidated += count;
  return count;
}

}  // namespace smmulab::smmu::hw
