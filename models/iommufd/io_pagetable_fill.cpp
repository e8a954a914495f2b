// SPDX-License-Identifier: Apache-2.0
// Areas into domains and out of them. Rule: Linux 6.12 drivers/iommu/iommufd/io_pagetable.c.
#include <algorithm>
#include <cerrno>

#include "models/iommufd/io_pagetable.hpp"
#include "models/iommufd/limits.hpp"
#include "models/iommufd/shared.hpp"

namespace smmulab::iommufd {
namespace {

// Limits of pages.c: one pin call covers a 64 KiB array of page pointers, one batch 64 KiB of
// 12-byte runs.
constexpr std::uint64_t kPinPages = 8192;
constexpr std::uint64_t kBatchRuns = 5461;

std::uint64_t pages_in(std::uint64_t start, std::uint64_t last) {
  return (last - start + 1) / kPage;
}

}  // namespace

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
  const std::uint64_t last_page = area.first_page + pages_in(start, area.last) - 1;
  if (area.storage_domain == nullptr && domain != nullptr) {
    area.pages->add_area(area.first_page, last_page);
  } else if (area.storage_domain != nullptr && domain == nullptr) {
    area.pages->remove_area(area.first_page, last_page);
  }
  area.storage_domain = domain;
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

// iopt_area_unpin_domain(): batch by batch, PFNs are read back, unmapped and unpinned. An unmap
// cuts where PFNs are not contiguous, as the maps did: so the last batch of a hole reads on to the
// end of its run, into what others hold, and begins with all that is still mapped before it.
Task<void> IoPagetable::unpin_hole(lnx::Thread& t, Unfill& unfill, std::uint64_t page,
                                   std::uint64_t hole_last) {
  const std::uint64_t run = params_.run_pages;
  const auto run_of = [&](std::uint64_t p) { return (p - unfill.first) / run; };
  const auto last_of_run = [&](std::uint64_t r) { return unfill.first + (r + 1) * run - 1; };
  while (page <= hole_last) {
    std::uint64_t batch_last = hole_last;
    if (unfill.unmapped <= hole_last) {
      const std::uint64_t from = std::max(page, unfill.unmapped);
      const std::uint64_t runs = kBatchRuns - (from != page ? 1 : 0);  // what was read too far
      batch_last = std::min(hole_last, last_of_run(run_of(from) + runs - 1));
      const std::uint64_t read_last = std::min(unfill.last, last_of_run(run_of(batch_last)));
      charge_read_back(t, read_last - from + 1);
      co_await unmap_up_to(t, unfill, read_last);
    }
    t.charge(params_.unpin_page * static_cast<std::int64_t>(batch_last - page + 1));
    page = batch_last + 1;
  }
}

// One iommu_unmap() of all up to that page that is mapped.
Task<void> IoPagetable::unmap_up_to(lnx::Thread& t, Unfill& unfill, std::uint64_t last) {
  const std::uint64_t at = unfill.unmapped;
  unfill.unmapped = last + 1;
  return driver_.unmap(t, unfill.domain, Iova{unfill.iova + (at - unfill.first) * kPage},
                       Bytes{(last - at + 1) * kPage});
}

// B4, __iopt_area_unfill_domain(). What another area or an access holds stays pinned, so it is
// unmapped along with what comes after it, at the end by itself.
Task<void> IoPagetable::unfill_storage(lnx::Thread& t, std::uint64_t start, Area& area,
                                       smmu::Domain& domain) {
  const IoptPages& memory = *area.pages;
  std::uint64_t page = area.first_page;
  const std::uint64_t last = page + pages_in(start, area.last) - 1;
  Unfill unfill{domain, start, page, last, page};
  store_in(area, start, nullptr);
  bool unpinned = false;
  while (page <= last) {
    const IoptPages::Span span = memory.span(page, last);
    if (span.holder == IoptPages::Holder::kNobody) {
      unpinned = true;
      co_await unpin_hole(t, unfill, page, span.last);
    }
    page = span.last + 1;
  }
  if (unfill.unmapped <= last) {
    co_await unmap_up_to(t, unfill, last);
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
  if (rc == 0 && std::any_of(allowed_.begin(), allowed_.end(),
                             [](const IovaRange& range) { return range.last > kApertureEnd; })) {
    rc = -EADDRINUSE;
  }
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

}  // namespace smmulab::iommufd
