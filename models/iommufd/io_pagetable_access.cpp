// SPDX-License-Identifier: Apache-2.0
// What looks into mapped areas without mapping: copy's source, accesses, dirty tracking.
#include <algorithm>
#include <cerrno>
#include <limits>

#include "models/iommufd/access.hpp"
#include "models/iommufd/io_pagetable.hpp"
#include "models/iommufd/limits.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

int check_length(Iova iova, Bytes length) {
  if (length.value() == 0) {
    return -EINVAL;
  }
  return length.value() - 1 > kMax - iova.value() ? -EOVERFLOW : 0;
}

}  // namespace

IoPagetable::AreaTree::iterator IoPagetable::area_at(std::uint64_t at) {
  const auto it = first_area_in(at, at);
  return it != areas_.end() && it->first <= at && it->second.published ? it : areas_.end();
}

// iopt_get_pages()
Task<int> IoPagetable::get_pages(lnx::Thread& t, Iova iova, Bytes length,
                                 std::vector<PagesRange>* list) {
  int rc = check_length(iova, length);
  if (rc != 0) {
    co_return rc;
  }
  std::uint64_t at = iova.value();
  std::uint64_t left = length.value();
  co_await iova_rwsem_.read_lock(t);
  while (left != 0 && rc == 0) {
    const auto it = area_at(at);
    if (it == areas_.end()) {
      rc = -ENOENT;
      break;
    }
    const Area& area = it->second;
    const std::uint64_t bytes = std::min(left, area.last - at + 1);
    t.charge(params_.list_step + params_.map_base);
    list->push_back({area.pages, area.first_page + (at - it->first) / kPage, bytes});
    at += bytes;
    left -= bytes;
  }
  co_await iova_rwsem_.read_unlock(t);
  co_return rc;
}

// The lowest free number, as xa_alloc() gives.
Task<int> IoPagetable::add_access(lnx::Thread& t, Access& access) {
  co_await domains_rwsem_.write_lock(t);
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.list_step * static_cast<std::int64_t>(areas_.size() + 1));
  const bool whole_pages = std::all_of(areas_.begin(), areas_.end(), [](const auto& each) {
    return each.first % kPage == 0 && (each.second.last + 1) % kPage == 0;
  });
  if (whole_pages) {
    std::uint32_t id = 0;
    auto place = access_list_.begin();
    while (place != access_list_.end() && place->id == id) {
      ++place;
      ++id;
    }
    access_list_.insert(place, {id, &access});
  }
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.write_unlock(t);
  co_return whole_pages ? 0 : -EADDRINUSE;
}

Task<void> IoPagetable::remove_access(lnx::Thread& t, Access& access) {
  co_await domains_rwsem_.write_lock(t);
  co_await iova_rwsem_.write_lock(t);
  t.charge(params_.list_step * static_cast<std::int64_t>(areas_.size() + 1));
  std::erase_if(access_list_, [&access](const ListedAccess& l) { return l.access == &access; });
  co_await iova_rwsem_.write_unlock(t);
  co_await domains_rwsem_.write_unlock(t);
}

// iommufd_access_notify_unmap(): with no lock held but the list's, and a reference to the access
// for its callback.
Task<void> IoPagetable::notify_unmap(lnx::Thread& t, std::uint64_t start, std::uint64_t last) {
  for (std::uint32_t next = 0;;) {
    co_await t.access(domains_rwsem_, lnx::Access::kRead);  // who changes the list holds it
    const auto listed = std::find_if(access_list_.begin(), access_list_.end(),
                                     [next](const ListedAccess& l) { return l.id >= next; });
    t.charge(params_.list_step);
    if (listed == access_list_.end()) {
      break;
    }
    Access& access = *listed->access;
    next = listed->id + 1;
    co_await access.notify_unmap(t, start, last);
  }
}

// iopt_area_add_access()
Task<int> IoPagetable::pin_area(lnx::Thread& t, std::uint64_t start, std::uint64_t first,
                                std::uint64_t last) {
  Area& area = areas_.at(start);
  const std::uint64_t first_page = area.first_page + (first - start) / kPage;
  const std::uint64_t last_page = area.first_page + (last - start) / kPage;
  IoptPages& memory = *area.pages;
  co_await memory.mutex.lock(t);
  t.charge(params_.access_base);
  const std::uint64_t pinned = charge_gather(t, memory, first_page, last_page);
  if (memory.add_access(first_page, last_page)) {
    t.charge(params_.xarray_page * static_cast<std::int64_t>(last_page - first_page + 1) +
             (pinned != 0 ? params_.account : Ps{0}));
  }
  ++area.num_accesses;
  co_await memory.mutex.unlock(t);
  co_return 0;
}

// iopt_area_remove_access(): what nobody else holds is unpinned.
Task<void> IoPagetable::unpin_area(lnx::Thread& t, std::uint64_t start, std::uint64_t first,
                                   std::uint64_t last) {
  Area& area = areas_.at(start);
  const std::uint64_t first_page = area.first_page + (first - start) / kPage;
  const std::uint64_t last_page = area.first_page + (last - start) / kPage;
  IoptPages& memory = *area.pages;
  co_await memory.mutex.lock(t);
  t.charge(params_.access_base);
  --area.num_accesses;
  if (memory.remove_access(first_page, last_page)) {
    const IoptPages::Counts counts = memory.counts(first_page, last_page);
    const auto nobody = static_cast<std::int64_t>(counts.nobody);
    t.charge(params_.xarray_page * static_cast<std::int64_t>(counts.domain + counts.nobody) +
             params_.unpin_page * nobody + (nobody != 0 ? params_.account : Ps{0}));
  }
  co_await memory.mutex.unlock(t);
}

// iommufd_access_pin_pages() below access->ioas_lock. Areas stay: iova_rwsem is held.
Task<int> IoPagetable::pin(lnx::Thread& t, Iova iova, Bytes length) {
  int rc = check_length(iova, length);
  if (rc != 0) {
    co_return rc;
  }
  const std::uint64_t last = iova.value() + length.value() - 1;
  std::uint64_t at = iova.value();
  co_await iova_rwsem_.read_lock(t);
  for (;;) {
    const auto it = area_at(at);
    if (it == areas_.end() || it->second.prevent_access) {
      rc = it == areas_.end() ? -ENOENT : -EINVAL;
      break;
    }
    const std::uint64_t end = std::min(last, it->second.last);
    co_await pin_area(t, it->first, at, end);
    if (end == last) {
      break;
    }
    at = end + 1;
  }
  for (std::uint64_t undo = iova.value(); rc != 0 && undo != at;) {
    const auto it = area_at(undo);
    const std::uint64_t end = std::min(at - 1, it->second.last);
    co_await unpin_area(t, it->first, undo, end);
    undo = end + 1;
  }
  co_await iova_rwsem_.read_unlock(t);
  co_return rc;
}

Task<void> IoPagetable::unpin(lnx::Thread& t, Iova iova, Bytes length) {
  const std::uint64_t last = iova.value() + length.value() - 1;
  co_await iova_rwsem_.read_lock(t);
  for (std::uint64_t at = iova.value();;) {
    const auto it = area_at(at);
    if (it == areas_.end()) {
      break;  // WARN_ON() in the kernel
    }
    const std::uint64_t end = std::min(last, it->second.last);
    co_await unpin_area(t, it->first, at, end);
    if (end == last) {
      break;
    }
    at = end + 1;
  }
  co_await iova_rwsem_.read_unlock(t);
}

Task<int> IoPagetable::set_dirty_tracking(lnx::Thread& t, smmu::Domain& domain, bool enable) {
  co_await iova_rwsem_.read_lock(t);
  for (auto it = areas_.begin(); enable && it != areas_.end(); ++it) {
    if (it->second.published) {
      driver_.read_and_clear_dirty(t, domain, Iova{it->first},
                                   Bytes{it->second.last - it->first + 1},
                                   Bytes{params_.run_pages * kPage}, true);
    }
  }
  co_await iova_rwsem_.read_unlock(t);
  co_return 0;
}

// A bitmap page at a time, each pinned; the walk ends where the range is not mapped, which 6.12
// does not report.
Task<int> IoPagetable::read_and_clear_dirty(lnx::Thread& t, smmu::Domain& domain, Iova iova,
                                            Bytes length, bool clear) {
  constexpr std::uint64_t kPagesPerBitmapPage = kPage * 8;
  const int rc = check_length(iova, length);
  if (rc != 0) {
    co_return rc;
  }
  if (iova.value() % kPage != 0 || length.value() % kPage != 0) {
    co_return -EINVAL;
  }
  co_await iova_rwsem_.read_lock(t);
  const bool tracks = domain.dirty_tracking;
  if (tracks) {
    const std::uint64_t last = iova.value() + (length.value() - 1);
    t.charge(params_.pin_call *
             static_cast<std::int64_t>(length.value() / kPage / kPagesPerBitmapPage + 1));
    for (std::uint64_t at = iova.value();;) {
      const auto it = area_at(at);
      if (it == areas_.end()) {
        break;
      }
      const std::uint64_t end = std::min(last, it->second.last);
      driver_.read_and_clear_dirty(t, domain, Iova{at}, Bytes{end - at + 1},
                                   Bytes{params_.run_pages * kPage}, clear);
      if (end == last) {
        break;
      }
      at = end + 1;
    }
  }
  co_await iova_rwsem_.read_unlock(t);
  co_return tracks ? 0 : -EOPNOTSUPP;
}

}  // namespace smmulab::iommufd
