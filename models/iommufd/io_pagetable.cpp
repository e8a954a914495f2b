// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/io_pagetable.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "models/iommufd/shared.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kApertureEnd = (1ULL << 48U) - 1;
constexpr std::uint64_t kMsiBase = 0x8000000;  // MSI_IOVA_BASE, MSI_IOVA_LENGTH
constexpr std::uint64_t kMsiLast = kMsiBase + 0x100000 - 1;
// Limits of pages.c: one pin call covers a 64 KiB array of page pointers, one batch 64 KiB of
// 12-byte runs.
constexpr std::uint64_t kPinPages = 8192;
constexpr std::uint64_t kBatchRuns = 5461;

std::uint64_t pages_in(std::uint64_t start, std::uint64_t last) {
  return (last - start + 1) / kPage;
}

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

void IoPagetable::charge_pin(lnx::Thread& t, std::uint64_t pages) const {
  const auto calls = static_cast<std::int64_t>((pages + kPinPages - 1) / kPinPages);
  t.charge(params_.pin_call * calls +
           (params_.pin_page + params_.batch_page) * static_cast<std::int64_t>(pages));
}

void IoPagetable::charge_read_back(lnx::Thread& t, std::uint64_t pages) {
  driver_.read_back(t, Pages{pages});
  t.charge(params_.batch_page * static_cast<std::int64_t>(pages));
}

std::uint64_t IoPagetable::charge_gather(lnx::Thread& t, const IoptPages& pages,
                                         std::uint64_t first, std::uint64_t last) {
  const IoptPages::Counts counts = pages.counts(first, last);
  if (counts.nobody != 0) {
    charge_pin(t, counts.nobody);
  }
  if (counts.domain != 0) {
    charge_read_back(t, counts.domain);
  }
  t.charge((params_.xarray_page + params_.batch_page) * static_cast<std::int64_t>(counts.access));
  return counts.nobody;
}

void IoPagetable::store_in(Area& area, std::uint64_t start, smmu::Domain* domain) {
  if (area.storage_domain == nullptr && domain != nullptr) {
    area.pages->add_area(area, area.first_page, area.first_page + pages_in(start, area.last) - 1);
  } else if (area.storage_domain != nullptr && domain == nullptr) {
    area.pages->remove_area(area);
  }
  area.storage_domain = domain;
}

Task<int> IoPagetable::map(lnx::Thread& t, Iova iova, Bytes length) {
  const PagesRange fresh{std::make_shared<IoptPages>(machine_, pages_class_), 0, length.value()};
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
  t.charge(params_.area_insert * static_cast<std::int64_t>(list.size()));
  int rc = check_range(start, length);
  if (rc == 0 && first_area_in(start, start + length - 1) != areas_.end()) {
    rc = -EEXIST;
  }
  if (rc == 0) {
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
  if (rc != 0) {
    for (std::uint64_t at = iova.value(); at != start; at = areas_.at(at).last + 1) {
      co_await unfill_domains(t, at);  // nothing to do for the one that failed
    }
  }
  co_await iova_rwsem_.write_lock(t);
  start = iova.value();
  for (const PagesRange& range : list) {
    if (rc == 0) {
      t.charge(params_.area_publish);
      areas_.at(start).published = true;
    } else {
      t.charge(params_.area_remove);  // iopt_abort_area()
      forget_area(start);
    }
    start += range.bytes;
  }
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.read_unlock(t);
  co_return rc;
}

// Pins and maps into every domain; without a domain nothing is done now. -ENODEV, with nothing left
// mapped, if a domain takes no mappings yet.
Task<int> IoPagetable::fill_domains(lnx::Thread& t, std::uint64_t start) {
  if (domains_.empty()) {
    co_return 0;
  }
  Area& area = areas_.at(start);
  const std::uint64_t pages = pages_in(start, area.last);
  const Bytes size{pages * kPage};
  const Bytes run{params_.run_pages * kPage};
  co_await area.pages->mutex.lock(t);
  t.charge(params_.fill_base);
  const std::uint64_t pinned =
      charge_gather(t, *area.pages, area.first_page, area.first_page + pages - 1);
  int rc = 0;
  std::size_t filled = 0;
  for (; filled < domains_.size() && rc == 0; ++filled) {
    rc = co_await driver_.map(t, *domains_[filled], Iova{start}, size, run);
  }
  if (rc == 0) {
    t.charge(pinned != 0 ? params_.account : Ps{0});
    // A free domains_rwsem may let the last domain go meanwhile.
    store_in(area, start, domains_.empty() ? nullptr : domains_.front());
  } else {
    for (std::size_t i = 0; i + 1 < filled && i < domains_.size(); ++i) {
      co_await driver_.unmap(t, *domains_[i], Iova{start}, size);
    }
    t.charge(params_.unpin_page * static_cast<std::int64_t>(pinned));
  }
  co_await area.pages->mutex.unlock(t);
  co_return rc;
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
  constexpr int kMaxTries = 100;
  int rc = 0;
  int tries = 0;
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
      if (tries > kMaxTries) {
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

Task<void> IoPagetable::unfill_domains(lnx::Thread& t, std::uint64_t start) {
  Area& area = areas_.at(start);
  const Bytes size{area.last - start + 1};
  co_await area.pages->mutex.lock(t);
  if (area.storage_domain == nullptr) {
    co_await area.pages->mutex.unlock(t);
    co_return;
  }
  t.charge(params_.fill_base);
  smmu::Domain* storage = area.storage_domain;
  for (std::size_t i = 0; i < domains_.size(); ++i) {
    if (domains_[i] != storage) {
      co_await driver_.unmap(t, *domains_[i], Iova{start}, size);
    }
  }
  co_await unfill_storage(t, start, area, *storage);
  co_await area.pages->mutex.unlock(t);
}

// B4: batch by batch, read PFNs back, clear the batch's span with one invalidation, unpin. What
// another area or an access holds is only cleared.
Task<void> IoPagetable::unfill_storage(lnx::Thread& t, std::uint64_t start, Area& area,
                                       smmu::Domain& domain) {
  const std::uint64_t batch_pages = kBatchRuns * params_.run_pages;
  const IoptPages& memory = *area.pages;
  std::uint64_t page = area.first_page;
  const std::uint64_t last_page = page + pages_in(start, area.last) - 1;
  store_in(area, start, nullptr);
  bool unpinned = false;
  while (page <= last_page) {
    const IoptPages::Span span = memory.span(page, last_page);
    std::uint64_t left = span.last - page + 1;
    const bool held = span.holder != IoptPages::Holder::kNobody;
    while (left != 0) {
      const std::uint64_t pages = held ? left : std::min(left, batch_pages);
      if (!held) {
        charge_read_back(t, pages);
      }
      co_await driver_.unmap(t, domain, Iova{start}, Bytes{pages * kPage});
      if (!held) {
        t.charge(params_.unpin_page * static_cast<std::int64_t>(pages));
        unpinned = true;
      }
      start += pages * kPage;
      page += pages;
      left -= pages;
    }
  }
  t.charge(unpinned ? params_.account : Ps{0});
}

// One area into one more domain: read back from the storage domain, or pin if there is none.
// -ENODEV if the domain takes no mappings yet.
Task<int> IoPagetable::fill_domain(lnx::Thread& t, std::uint64_t start, smmu::Domain& domain) {
  Area& area = areas_.at(start);
  const std::uint64_t pages = pages_in(start, area.last);
  co_await area.pages->mutex.lock(t);
  t.charge(params_.fill_base);
  const bool first = area.storage_domain == nullptr;
  const std::uint64_t pinned =
      charge_gather(t, *area.pages, area.first_page, area.first_page + pages - 1);
  t.charge(pinned != 0 ? params_.account : Ps{0});
  const int rc = co_await driver_.map(t, domain, Iova{start}, Bytes{pages * kPage},
                                      Bytes{params_.run_pages * kPage});
  if (first && rc == 0) {
    store_in(area, start, &domain);
  } else if (rc != 0 && pinned != 0) {
    t.charge(params_.unpin_page * static_cast<std::int64_t>(pinned) + params_.account);
  }
  co_await area.pages->mutex.unlock(t);
  co_return rc;
}

// B5. Areas are looked up anew after each wait: a protocol without locks may change the tree.
Task<int> IoPagetable::add_domain(lnx::Thread& t, smmu::Domain& domain) {
  co_await domains_rwsem_.write_lock(t);
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.domain_link + params_.list_step * static_cast<std::int64_t>(domains_.size()));
  int rc = has_domain(domain) ? -EEXIST : 0;
  for (const auto& [start, area] : areas_) {
    if (rc == 0 &&
        (start % kPage != 0 || (area.last + 1) % kPage != 0 || area.last > kApertureEnd)) {
      rc = -EADDRINUSE;
    }
  }
  if (rc == 0) {
    for (auto it = areas_.begin(); it != areas_.end();) {
      const std::uint64_t start = it->first;
      if (it->second.published) {
        rc = co_await fill_domain(t, start, domain);
        if (rc != 0) {
          break;  // a domain that takes no mappings refuses the first: nothing is to be undone
        }
      }
      it = areas_.upper_bound(start);
    }
  }
  if (rc == 0) {
    t.touch(linked(domain), lnx::Access::kWrite);
    domains_.push_back(&domain);
  }
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.write_unlock(t);
  co_return rc;
}

// B6. The last entry takes the place of the removed one, as the kernel keeps its array linear.
Task<void> IoPagetable::remove_domain(lnx::Thread& t, smmu::Domain& domain) {
  co_await domains_rwsem_.write_lock(t);
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.domain_link);
  const auto place = std::find(domains_.begin(), domains_.end(), &domain);
  if (place != domains_.end()) {
    t.touch(linked(domain), lnx::Access::kWrite);
    *place = domains_.back();
    domains_.pop_back();
    for (auto it = areas_.begin(); it != areas_.end();) {
      const std::uint64_t start = it->first;
      Area& area = it->second;
      const std::uint64_t last = area.last;
      if (area.published) {
        co_await area.pages->mutex.lock(t);
        if (!domains_.empty()) {
          if (area.storage_domain == &domain) {
            store_in(area, start, domains_.front());
          }
          co_await area.pages->mutex.unlock(t);
          co_await driver_.unmap(t, domain, Iova{start}, Bytes{last - start + 1});
        } else {
          t.charge(params_.fill_base);
          co_await unfill_storage(t, start, area, domain);
          co_await area.pages->mutex.unlock(t);
        }
      }
      it = areas_.upper_bound(start);
    }
  }
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.write_unlock(t);
}

int IoPagetable::insert_reserved(lnx::Thread& t, const smmu::Master& device) {
  t.charge(params_.resv_insert * static_cast<std::int64_t>(params_.resv_regions));
  if (first_area_in(kMsiBase, kMsiLast) != areas_.end()) {
    return -EADDRINUSE;
  }
  reserved_.push_back({kMsiBase, kMsiLast, &device});
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
