// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/io_pagetable.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "models/iommufd/limits.hpp"
#include "models/iommufd/shared.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::uint64_t kMsiFirst = kMsiBase.value();
constexpr std::uint64_t kMsiLast = kMsiFirst + kMsiLength.value() - 1;

}  // namespace

IoPagetable::IoPagetable(lnx::Machine& machine, smmu::Driver& driver, const IommufdParams& params)
    : machine_(machine),
      driver_(driver),
      params_(params),
      pages_class_(machine.locks().get("pages->mutex", lnx::LockKind::kMutex)),
      domains_rwsem_(machine, machine.locks().get("domains_rwsem", lnx::LockKind::kRwsem)),
      iova_rwsem_(machine, machine.locks().get("iova_rwsem", lnx::LockKind::kRwsem)) {
  pages_class_.leaf = true;  // and domains_rwsem keeps two users of one area apart
}

bool IoPagetable::has_domain(const smmu::Domain& domain) const {
  return std::find(domains_.begin(), domains_.end(), &domain) != domains_.end();
}

bool IoPagetable::has_reserved(const smmu::Master& device) const {
  return std::any_of(reserved_.begin(), reserved_.end(),
                     [&device](const Reserved& r) { return r.owner == &device; });
}

IoPagetable::AreaTree::iterator IoPagetable::first_area_in(std::uint64_t start,
                                                           std::uint64_t last) {
  auto it = areas_.upper_bound(start);
  if (it != areas_.begin()) {
    const auto before = std::prev(it);
    if (before->second.last >= start) {
      return before;
    }
  }
  return it != areas_.end() && it->first <= last ? it : areas_.end();
}

void IoPagetable::forget_area(std::uint64_t start) {
  AreaTree::node_type area = areas_.extract(start);
  if (machine_.locks().freed()) {
    graveyard_.push_back(std::move(area));
  }
}

// iopt_check_iova(); the length test comes first, as in iopt_alloc_area_pages().
int IoPagetable::check_range(std::uint64_t start, std::uint64_t length) const {
  const std::uint64_t alignment = domains_.empty() && access_list_.empty() ? 1 : kPage;
  if (length == 0 || length % alignment != 0 || start % alignment != 0) {
    return -EINVAL;
  }
  if (length - 1 > std::numeric_limits<std::uint64_t>::max() - start) {
    return -EOVERFLOW;
  }
  const std::uint64_t last = start + length - 1;
  if (!domains_.empty() && last > kApertureEnd) {
    return -EINVAL;  // reserved: above the aperture
  }
  if (std::any_of(reserved_.begin(), reserved_.end(),
                  [=](const Reserved& r) { return r.start <= last && start <= r.last; })) {
    return -EINVAL;
  }
  return 0;
}

Task<int> IoPagetable::map(lnx::Thread& t, Iova iova, Bytes length) {
  const PagesRange fresh{new IoptPages(machine_, pages_class_, length.value() / kPage), 0,
                         length.value()};
  co_return co_await map_pages(t, iova, {&fresh, 1});
}

// iopt_alloc_area_pages(): the areas are there, but not published.
Task<int> IoPagetable::insert_areas(lnx::Thread& t, std::uint64_t start,
                                    std::span<const PagesRange> list) {
  std::uint64_t length = 0;
  for (const PagesRange& range : list) {
    length += range.bytes;
  }
  co_await iova_rwsem_.write_lock(t);
  int rc = check_range(start, length);
  if (rc == 0 && first_area_in(start, start + length - 1) != areas_.end()) {
    rc = -EEXIST;
  }
  if (rc == 0) {  // a refused range has been looked up only (iopt_check_iova())
    t.charge(params_.area_insert * static_cast<std::int64_t>(list.size()));
    for (const PagesRange& range : list) {
      areas_.try_emplace(start, start + range.bytes - 1, range.pages, range.first_page);
      start += range.bytes;
    }
  }
  co_await iova_rwsem_.write_unlock(t);
  co_return rc;
}

Task<int> IoPagetable::map_pages(lnx::Thread& t, Iova iova, std::span<const PagesRange> list) {
  t.charge(params_.map_base * static_cast<std::int64_t>(list.size()));
  int rc = co_await insert_areas(t, iova.value(), list);
  if (rc != 0) {
    t.charge(params_.pages_free * static_cast<std::int64_t>(list.size()));
    co_return rc;
  }
  co_await domains_rwsem_.read_lock(t);
  std::uint64_t start = iova.value();
  for (std::size_t i = 0; i < list.size() && rc == 0; ++i) {
    rc = co_await fill_domains(t, start);
    start += list[i].bytes;
  }
  if (rc == 0) {
    co_await publish_areas(t, iova.value(), list);
  } else {
    for (std::uint64_t at = iova.value(); at != start; at = areas_.at(at).last + 1) {
      co_await unfill_domains(t, at);  // nothing to do for the one that failed
    }
  }
  co_await domains_rwsem_.read_unlock(t);
  if (rc != 0) {
    co_await abort_areas(t, iova.value(), list);
  }
  co_return rc;
}

Task<void> IoPagetable::publish_areas(lnx::Thread& t, std::uint64_t start,
                                      std::span<const PagesRange> list) {
  co_await iova_rwsem_.write_lock(t);
  for (const PagesRange& range : list) {
    t.charge(params_.area_publish);
    areas_.at(start).published = true;
    start += range.bytes;
  }
  co_await iova_rwsem_.write_unlock(t);
}

// iopt_free_pages_list(): domains_rwsem is no longer held, each area goes by itself.
Task<void> IoPagetable::abort_areas(lnx::Thread& t, std::uint64_t start,
                                    std::span<const PagesRange> list) {
  for (const PagesRange& range : list) {
    co_await iova_rwsem_.write_lock(t);
    t.charge(params_.area_remove);
    forget_area(start);
    co_await iova_rwsem_.write_unlock(t);
    t.charge(params_.pages_free);
    start += range.bytes;
  }
}

Task<int> IoPagetable::unmap(lnx::Thread& t, Iova iova, Bytes length) {
  if (length.value() == 0) {
    co_return -EINVAL;
  }
  const std::uint64_t start = iova.value();
  if (length.value() - 1 > std::numeric_limits<std::uint64_t>::max() - start) {
    co_return -EOVERFLOW;
  }
  bool unmapped = false;
  const int rc = co_await unmap_range(t, start, start + length.value() - 1, &unmapped);
  co_return rc == 0 && !unmapped ? -ENOENT : rc;
}

Task<int> IoPagetable::unmap_all(lnx::Thread& t) {
  bool unmapped = false;
  co_return co_await unmap_range(t, 0, std::numeric_limits<std::uint64_t>::max(), &unmapped);
}

Task<int> IoPagetable::unmap_range(lnx::Thread& t, std::uint64_t start, std::uint64_t last,
                                   bool* unmapped) {
  int rc = 0;
  std::uint32_t tries = 0;
  co_await domains_rwsem_.read_lock(t);
  co_await iova_rwsem_.write_lock(t);
  for (;;) {
    t.charge(params_.unmap_base);
    const auto it = first_area_in(start, last);
    if (it == areas_.end()) {
      break;
    }
    const std::uint64_t first = it->first;
    const std::uint64_t area_last = it->second.last;
    if (!it->second.published) {
      rc = -EBUSY;
      break;
    }
    if (first < start || area_last > last) {
      rc = -ENOENT;
      break;
    }
    if (it->second.num_accesses != 0) {
      tries = first == start ? tries + 1 : 1;
      start = first;
      it->second.prevent_access = true;
      co_await iova_rwsem_.write_unlock(t);
      co_await domains_rwsem_.read_unlock(t);
      co_await notify_unmap(t, first, area_last);
      if (tries > kMaxUnmapTries) {
        co_return -EDEADLOCK;  // an access does not let go
      }
      co_await domains_rwsem_.read_lock(t);
      co_await iova_rwsem_.write_lock(t);
      continue;
    }
    it->second.published = false;
    co_await iova_rwsem_.write_unlock(t);
    co_await unfill_domains(t, first);
    co_await iova_rwsem_.write_lock(t);
    t.charge(params_.area_remove);
    forget_area(first);
    *unmapped = true;
    co_await iova_rwsem_.write_unlock(t);
    t.charge(params_.pages_free);
    co_await iova_rwsem_.write_lock(t);
    if (area_last >= last) {
      break;
    }
    start = area_last + 1;
  }
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.read_unlock(t);
  co_return rc;
}

Task<int> IoPagetable::set_allowed(lnx::Thread& t, std::span<const IovaRange> ranges) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const IovaRange& range = ranges[i];
    if (range.start >= range.last ||
        std::any_of(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(i),
                    [&range](const IovaRange& r) { return r.overlaps(range.start, range.last); })) {
      co_return -EINVAL;
    }
  }
  t.charge(params_.resv_insert * static_cast<std::int64_t>(ranges.size()));
  co_await iova_rwsem_.write_lock(t);
  const bool in_use = std::any_of(ranges.begin(), ranges.end(), [this](const IovaRange& range) {
    return (!domains_.empty() && range.last > kApertureEnd) ||
           std::any_of(reserved_.begin(), reserved_.end(),
                       [&range](const Reserved& r) { return range.overlaps(r.start, r.last); });
  });
  if (!in_use) {
    allowed_.assign(ranges.begin(), ranges.end());
  }
  co_await iova_rwsem_.write_unlock(t);
  co_return in_use ? -EADDRINUSE : 0;
}

int IoPagetable::insert_reserved(lnx::Thread& t, const smmu::Master& device) {
  t.charge(params_.resv_insert * static_cast<std::int64_t>(params_.resv_regions));
  const bool allowed = std::any_of(allowed_.begin(), allowed_.end(), [](const IovaRange& range) {
    return range.overlaps(kMsiFirst, kMsiLast);
  });
  if (allowed || first_area_in(kMsiFirst, kMsiLast) != areas_.end()) {
    return -EADDRINUSE;
  }
  reserved_.push_back({kMsiFirst, kMsiLast, &device});
  return 0;
}

Task<int> IoPagetable::enforce_reserved(lnx::Thread& t, const smmu::Master& device) {
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.resv_query);
  const int rc = insert_reserved(t, device);
  co_await iova_rwsem_.write_unlock(t);
  co_return rc;
}

Task<int> IoPagetable::enforce_reserved_of_group(lnx::Thread& t, const smmu::Master& device,
                                                 lnx::Mutex& group_mutex,
                                                 std::size_t group_devices) {
  co_await iova_rwsem_.write_lock(t);
  co_await group_mutex.lock(t);
  t.charge(params_.resv_query * static_cast<std::int64_t>(group_devices));
  co_await group_mutex.unlock(t);
  const int rc = insert_reserved(t, device);
  co_await iova_rwsem_.write_unlock(t);
  co_return rc;
}

Task<void> IoPagetable::remove_reserved(lnx::Thread& t, const smmu::Master& device) {
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.unresv + params_.list_step * static_cast<std::int64_t>(reserved_.size()));
  std::erase_if(reserved_, [&device](const Reserved& r) { return r.owner == &device; });
  co_await iova_rwsem_.write_unlock(t);
}

}  // namespace smmulab::iommufd
