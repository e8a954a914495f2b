// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/iova_tree.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

#include "sim/check.hpp"

namespace smmulab::dma_iommu {
namespace {

constexpr std::uint64_t kStart = 4096;  // page 0 is never handed out

}  // namespace

// The highest gap below `below` and `top`: the first byte of a range of `size` in it.
std::optional<std::uint64_t> IovaTree::search(Ranges::iterator below, std::uint64_t top,
                                              std::uint64_t size) const {
  const std::uint64_t aligned = ~(std::bit_ceil(size) - 1);
  Ranges::const_iterator above = below;
  std::uint64_t end = above == ranges_.end() ? top : std::min(top, above->first);
  for (;;) {
    const std::uint64_t first = end < size ? 0 : (end - size) & aligned;
    if (first < kStart) {
      return std::nullopt;
    }
    if (above == ranges_.begin() || std::prev(above)->second <= first) {
      return first;
    }
    --above;
    end = std::min(end, above->first);
  }
}

std::optional<Iova> IovaTree::alloc_below(Zone& zone, std::uint64_t size) {
  std::optional<std::uint64_t> first = search(zone.cached, zone.top, size);
  if (!first) {
    first = search(ranges_.lower_bound(zone.top), zone.top, size);
  }
  if (!first) {
    return std::nullopt;
  }
  zone.cached = ranges_.emplace(*first, *first + size).first;
  return Iova{*first};
}

std::optional<Iova> IovaTree::alloc(Bytes size) {
  if (!low_full_) {
    if (const std::optional<Iova> iova = alloc_below(low_, size.value())) {
      return iova;
    }
    low_full_ = true;
  }
  return alloc_below(high_, size.value());
}

void IovaTree::free(Iova iova) {
  const auto range = ranges_.find(iova.value());
  SMMULAB_CHECK(range != ranges_.end(), "this IOVA was not handed out");
  const auto next = std::next(range);
  for (Zone* zone : {&low_, &high_}) {
    const bool in_zone = range->second <= zone->top;
    const bool higher = zone->cached != ranges_.end() && range->first >= zone->cached->first;
    if (range == zone->cached || (in_zone && higher)) {
      zone->cached = next;
    }
  }
  ranges_.erase(range);
}

}  // namespace smmulab::dma_iommu
