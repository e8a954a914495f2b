// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/walk_cache.hpp"

namespace smmulab::smmu::hw {
namespace {

std::uint64_t hash_of(const Tag& tag, unsigned stage, unsigned level, std::uint64_t input,
                      unsigned log2) {
  // Levels of a unified cache are spread over the sets; a part of its own adds a constant.
  const std::uint64_t part = (stage - 1) * 4 + level;
  return (input >> log2) + tag.vmid.value() + part * 0x9E37'79B1;
}

// Same for entries of one stage, level, size and place.
Mark mark_of(unsigned stage, unsigned level, unsigned log2, std::uint64_t input) {
  return Mark{(input >> log2) << 10U | stage << 8U | level << 6U | log2};
}

// Stage 2 knows VMIDs only.
Tag stage_tag(const Stage& stage, const Tag& tag) {
  Tag own = tag;
  if (stage.number == 2) {
    own.has_asid = false;
    own.asid = Asid{};
    own.aset = false;
  }
  return own;
}

bool is_group(const WalkEntry& entry) {
  return entry.point.is_leaf && entry.point.leaf.reach_log2 != entry.point.leaf.page_log2;
}

bool same_tag(const WalkEntry& entry, const Tag& tag) {
  return entry.tag.world == tag.world && entry.tag.vmid == tag.vmid && entry.tag.aset == tag.aset &&
         (entry.global || entry.tag.asid == tag.asid);
}

}  // namespace

bool covers(const TlbInvalidation& what, const WalkEntry& entry) {
  const bool leaf = entry.point.is_leaf;
  if (!covers_tag(what, entry.tag, entry.stage == 1, entry.global) ||
      !covers_range(what, entry.input, entry.log2)) {
    return false;
  }
  if (leaf) {
    return what.level == 0 || what.level == entry.level;
  }
  // Tables above the level that TTL names, unless only leaves are to go.
  return !what.leaf_only && (what.level == 0 || entry.level < what.level);
}

WalkCaches::WalkCaches(const Shape& shape) {
  const std::size_t count = shape.unified ? 1 : 8;
  caches_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    CacheShape own = shape.caches[i];
    own.seed += i;
    caches_.emplace_back(own);
  }
}

std::uint32_t WalkCaches::size() const {
  std::uint32_t size = 0;
  for (const Cache& cache : caches_) {
    size += cache.size();
  }
  return size;
}

inline const WalkEntry* WalkCaches::probe(const Stage& stage, unsigned level, unsigned log2,
                                          const Tag& tag, std::uint64_t input) {
  Cache& cache = cache_of(stage.number, level);
  if (cache.size() == 0) {
    return nullptr;
  }
  const auto is_it = [&](const WalkEntry& entry) {
    return entry.log2 == log2 && entry.stage == stage.number && entry.level == level &&
           (entry.input ^ input) >> log2 == 0 && same_tag(entry, tag);
  };
  return cache.find(cache.set_of(hash_of(tag, stage.number, level, input, log2)),
                    mark_of(stage.number, level, log2, input), is_it);
}

const WalkEntry* WalkCaches::probe_group(const Stage& stage, unsigned level, const Tag& tag,
                                         std::uint64_t input) {
  const unsigned group = contiguous_log2(stage.granule, level);
  return group == 0 ? nullptr
                    : probe(stage, level, level_log2(stage.granule, level) + group, tag, input);
}

bool WalkCaches::find(const Stage& stage, const Tag& full_tag, std::uint64_t input,
                      WalkPoint& point) {
  const Tag tag = stage_tag(stage, full_tag);
  for (unsigned level = kLastLevel + 1; level-- > stage.start_level;) {
    LevelStats& stats = stats_[(stage.number - 1U) * 4 + level];
    ++stats.lookups;
    const unsigned log2 = level_log2(stage.granule, level);
    const WalkEntry* entry = probe(stage, level, log2, tag, input);
    if (entry == nullptr && groups_ != 0) {
      entry = probe_group(stage, level, tag, input);
    }
    if (entry != nullptr) {
      point = entry->point;
      point.leaf.output += input - entry->input;
      return true;
    }
    ++stats.misses;
  }
  return false;
}

void WalkCaches::keep(const Stage& stage, const Tag& full_tag, std::uint64_t input,
                      const WalkPoint& point) {
  // A table point names the level of the descriptor to read next.
  const auto level = static_cast<std::uint8_t>(point.is_leaf ? point.level : point.level - 1);
  Cache& cache = cache_of(stage.number, level);
  const Tag tag = stage_tag(stage, full_tag);
  const auto log2 = static_cast<std::uint8_t>(point.is_leaf ? point.leaf.reach_log2
                                                            : level_log2(stage.granule, level));
  const std::uint64_t first = input & ~low_mask(log2);
  const bool global = point.is_leaf && point.leaf.global;
  const auto same = [&](const WalkEntry& old) {
    return old.log2 == log2 && old.stage == stage.number && old.level == level &&
           old.input == first && old.global == global && same_tag(old, tag);
  };
  WalkEntry* const entry = cache.place(cache.set_of(hash_of(tag, stage.number, level, input, log2)),
                                       mark_of(stage.number, level, log2, input), same,
                                       [this](const WalkEntry& old) { gone(old); });
  if (entry == nullptr) {
    return;
  }
  entry->tag = tag;
  entry->input = first;
  entry->log2 = log2;
  entry->stage = stage.number;
  entry->level = level;
  entry->global = global;
  entry->point = point;
  entry->point.leaf.output -= input - first;
  groups_ += is_group(*entry) ? 1 : 0;
}

void WalkCaches::gone(const WalkEntry& old) {
  groups_ -= is_group(old) ? 1 : 0;
}

std::uint32_t WalkCaches::invalidate(const TlbInvalidation& what) {
  std::uint32_t count = 0;
  for (Cache& cache : caches_) {
    count += cache.erase_if([&what](const WalkEntry& entry) { return covers(what, entry); },
                            [this](const WalkEntry& old) { gone(old); });
  }
  return count;
}

}  // namespace smmulab::smmu::hw
