// SPDX-License-Identifier: Apache-2.0
// IoptPages: user memory that areas map, and who keeps which part of it pinned: areas with a domain
// (PFNs are read back from it) and accesses (PFNs are in an array). After IOMMU_IOAS_COPY areas of
// several IOASes share one. Rule: Linux 6.12 drivers/iommu/iommufd/pages.c (domains_itree,
// access_itree, interval_tree_for_each_double_span()).
// Not modelled: memory of another process, accounting limits, pages that cannot be pinned.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "models/linux/mutex.hpp"

namespace smmulab::iommufd {

// Pages are numbered from the start of the memory. There may be millions of memories, most of them
// mapped by one area, wholly: such areas are a count, all else is made when it is needed.
class IoptPages : public boost::intrusive_ref_counter<IoptPages, boost::thread_unsafe_counter> {
 private:
  std::uint32_t whole_areas_ = 0;  // areas of all pages; here, where the layout has a gap

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

  // Of so many whole pages.
  IoptPages(lnx::Machine& machine, lnx::LockClass& cls, std::uint64_t pages)
      : mutex(machine, cls), pages_(pages) {}

  // Who holds `first`, and up to where; `last` bounds the answer. Accesses go before domains.
  // REQUIRES, of all that take a range: its pages are of this memory.
  [[nodiscard]] Span span(std::uint64_t first, std::uint64_t last) const;
  [[nodiscard]] Counts counts(std::uint64_t first, std::uint64_t last) const;

  // An area of exactly that range has a storage domain from now on, or none any more.
  void add_area(std::uint64_t first, std::uint64_t last);
  // REQUIRES: there is one.
  void remove_area(std::uint64_t first, std::uint64_t last);
  // A pin of exactly that range. Gives false if there is one already: then it has one user more.
  bool add_access(std::uint64_t first, std::uint64_t last);
  // True: that was its last user. REQUIRES: there is one.
  bool remove_access(std::uint64_t first, std::uint64_t last);

  lnx::Mutex mutex;

 private:
  // How many ranges of each kind cover a page.
  struct Cover {
    std::uint32_t accesses = 0;
    std::uint32_t areas = 0;
    friend bool operator==(const Cover&, const Cover&) = default;
  };
  // Each holds up to the next; before the first nobody holds anything.
  using Covers = std::map<std::uint64_t, Cover>;

  // All but the areas of all pages.
  struct Parts {
    Covers covers;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> pins;  // users by range

    // The entry that begins at the page: made if need be.
    Covers::iterator split(std::uint64_t page);
    // Adds `by` to the member for each page of the range.
    void change(std::uint64_t first, std::uint64_t last, std::uint32_t Cover::* member,
                std::int32_t by);
  };

  [[nodiscard]] Holder holder_of(const Cover& cover) const;
  [[nodiscard]] bool is_whole(std::uint64_t first, std::uint64_t last) const {
    return first == 0 && last == pages_ - 1;
  }
  [[nodiscard]] Parts& parts();
  void drop_empty_parts();

  std::uint64_t pages_;
  std::unique_ptr<Parts> parts_;
};

// A stretch of some memory: what IOMMU_IOAS_COPY takes from its source.
struct PagesRange {
  boost::intrusive_ptr<IoptPages> pages;
  std::uint64_t first_page;
  std::uint64_t bytes;
};

}  // namespace smmulab::iommufd
