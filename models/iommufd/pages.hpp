// SPDX-License-Identifier: Apache-2.0
// IoptPages: user memory that areas map, and who keeps which part of it pinned: areas with a domain
// (PFNs are read back from it) and accesses (PFNs are in an array). After IOMMU_IOAS_COPY areas of
// several IOASes share one. Rule: Linux 6.12 drivers/iommu/iommufd/pages.c (domains_itree,
// access_itree, interval_tree_for_each_double_span()); reference locking.md section 2.
// Not modelled: memory of another process, accounting limits, pages that cannot be pinned.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/linux/mutex.hpp"

namespace smmulab::iommufd {

struct Area;

// Pages are numbered from the start of the memory.
class IoptPages {
 public:
  enum class Holder : std::uint8_t { kNobody, kAccess, kDomain };
  struct Span {
    Holder holder;
    std::uint64_t last;
  };
  // How many pages of a range are held by whom.
  struct Counts {
    std::uint64_t nobody = 0;
    std::uint64_t access = 0;
    std::uint64_t domain = 0;
  };

  IoptPages(lnx::Machine& machine, lnx::LockClass& cls) : mutex(machine, cls) {}

  // Who holds `first`, and up to where; `last` bounds the answer. Accesses go before domains.
  [[nodiscard]] Span span(std::uint64_t first, std::uint64_t last) const;
  [[nodiscard]] Counts counts(std::uint64_t first, std::uint64_t last) const;

  // The area has a storage domain from now on, or none any more.
  void add_area(const Area& area, std::uint64_t first, std::uint64_t last);
  void remove_area(const Area& area);
  // A pin of exactly that range. Gives false if there is one already: then it has one user more.
  bool add_access(std::uint64_t first, std::uint64_t last);
  // True: that was its last user. REQUIRES: there is one.
  bool remove_access(std::uint64_t first, std::uint64_t last);
  // Users of pins, for checks.
  [[nodiscard]] std::uint64_t access_users() const;

  lnx::Mutex mutex;

 private:
  struct Use {
    std::uint64_t first;
    std::uint64_t last;
    const Area* area;  // null: an access
    std::uint32_t users;
  };

  [[nodiscard]] static Holder holder_of(const Use& use);

  std::vector<Use> uses_;
};

// A stretch of some memory: what IOMMU_IOAS_COPY takes from its source.
struct PagesRange {
  std::shared_ptr<IoptPages> pages;
  std::uint64_t first_page;
  std::uint64_t bytes;
};

}  // namespace smmulab::iommufd
