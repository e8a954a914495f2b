// SPDX-License-Identifier: Apache-2.0
#include "workloads/area_deps.hpp"

#include <algorithm>
#include <iterator>
#include <limits>

namespace smmulab::workloads {

void WaitSet::add(ThreadIndex thread, std::uint64_t count) {
  if (thread == self_) {
    return;
  }
  for (Wait& wait : waits_) {
    if (wait.counter == thread.value()) {
      wait.needed = std::max(wait.needed, count);
      return;
    }
  }
  waits_.push_back({thread.value(), count});
}

void AreaDeps::map(const Op& op, std::uint64_t count, WaitSet& waits) {
  const std::uint64_t last = op.last();
  for (auto it = first_overlap(live_, op.first()); it != live_.end() && it->first <= last;) {
    it = live_.erase(it);  // an unmap raced with this map and stands later in the file
  }
  take_freed(op.first(), last, waits);
  for (const auto& [thread, hull] : old_freed_) {
    if (hull.first <= last && op.first() <= hull.last) {
      waits.add(thread, hull.count);
    }
  }
  live_.emplace(op.first(), Part{last, count, 0, op.thread});
}

void AreaDeps::unmap(const Op& op, std::uint64_t count, WaitSet& waits) {
  const std::uint64_t last = op.last();
  for (auto it = first_overlap(live_, op.first()); it != live_.end() && it->first <= last;) {
    if (it->first < op.first() || it->second.last > last) {
      ++it;
      continue;
    }
    waits.add(it->second.by, it->second.count);
    for (const Wait& use : it->second.uses) {
      waits.add(ThreadIndex{static_cast<std::uint32_t>(use.counter)}, use.needed);
    }
    freed_.insert_or_assign(it->first, Part{it->second.last, count, ++age_, op.thread});
    it = live_.erase(it);
  }
  fold_old_parts();
}

void AreaDeps::unmap_all(const Op& op, std::uint64_t count) {
  live_.clear();
  freed_.clear();
  old_freed_.clear();
  old_freed_.emplace(op.thread, Hull{0, std::numeric_limits<std::uint64_t>::max(), count});
}

void AreaDeps::use(std::uint64_t first, std::uint64_t last, const Op& op, std::uint64_t count,
                   WaitSet& waits) {
  for (auto it = first_overlap(live_, first); it != live_.end() && it->first <= last; ++it) {
    waits.add(it->second.by, it->second.count);
    const auto own = std::find_if(it->second.uses.begin(), it->second.uses.end(),
                                  [&op](const Wait& w) { return w.counter == op.thread.value(); });
    if (own != it->second.uses.end()) {
      own->needed = count;
    } else {
      it->second.uses.push_back({op.thread.value(), count});
    }
  }
}

void AreaDeps::reach(Iova iova, WaitSet& waits) const {
  auto it = live_.upper_bound(iova.value());
  if (it != live_.begin() && (--it)->second.last >= iova.value()) {
    waits.add(it->second.by, it->second.count);
  }
}

AreaDeps::Parts::iterator AreaDeps::first_overlap(Parts& parts, std::uint64_t first) {
  auto it = parts.upper_bound(first);
  if (it != parts.begin() && std::prev(it)->second.last >= first) {
    --it;
  }
  return it;
}

// Waits for who freed first..last and cuts it out of the freed parts.
void AreaDeps::take_freed(std::uint64_t first, std::uint64_t last, WaitSet& waits) {
  for (auto it = first_overlap(freed_, first); it != freed_.end() && it->first <= last;) {
    const std::uint64_t begin = it->first;
    const Part part = it->second;
    waits.add(part.by, part.count);
    it = freed_.erase(it);
    if (begin < first) {
      Part left = part;
      left.last = first - 1;
      freed_.emplace(begin, left);
    }
    if (part.last > last) {
      freed_.emplace(last + 1, part);
      return;
    }
  }
}

// Keeps the younger half once there are too many, so that the cost is spread.
void AreaDeps::fold_old_parts() {
  const std::size_t limit = std::max(kFreedKept, live_.size());
  if (freed_.size() <= limit) {
    return;
  }
  std::vector<std::uint64_t> ages;
  ages.reserve(freed_.size());
  for (const auto& [first, part] : freed_) {
    ages.push_back(part.age);
  }
  const auto middle = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() / 2);
  std::nth_element(ages.begin(), middle, ages.end());
  const std::uint64_t keep_from = *middle;
  std::erase_if(freed_, [&](const auto& entry) {
    const auto& [first, part] = entry;
    if (part.age >= keep_from) {
      return false;
    }
    Hull& hull = old_freed_.try_emplace(part.by, Hull{first, part.last, part.count}).first->second;
    hull = {std::min(hull.first, first), std::max(hull.last, part.last),
            std::max(hull.count, part.count)};
    return true;
  });
}

}  // namespace smmulab::workloads
