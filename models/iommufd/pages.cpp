// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/pages.hpp"

#include <iterator>

#include "sim/check.hpp"

namespace smmulab::iommufd {

IoptPages::Holder IoptPages::holder_of(const Cover& cover) {
  if (cover.accesses != 0) {
    return Holder::kAccess;
  }
  return cover.areas != 0 ? Holder::kDomain : Holder::kNobody;
}

IoptPages::Span IoptPages::span(std::uint64_t first, std::uint64_t last) const {
  auto next = covers_.upper_bound(first);
  const Cover cover = next == covers_.begin() ? Cover{} : std::prev(next)->second;
  const Holder holder = holder_of(cover);
  while (next != covers_.end() && next->first <= last && holder_of(next->second) == holder) {
    ++next;
  }
  const bool ends = next != covers_.end() && next->first <= last;
  return {holder, ends ? next->first - 1 : last};
}

IoptPages::Counts IoptPages::counts(std::uint64_t first, std::uint64_t last) const {
  Counts counts;
  while (first <= last) {
    const Span s = span(first, last);
    const std::uint64_t pages = s.last - first + 1;
    (s.holder == Holder::kNobody   ? counts.nobody
     : s.holder == Holder::kAccess ? counts.access
                                   : counts.domain) += pages;
    first = s.last + 1;
  }
  return counts;
}

IoptPages::Covers::iterator IoptPages::split(std::uint64_t page) {
  const auto next = covers_.upper_bound(page);
  if (next == covers_.begin()) {
    return covers_.emplace_hint(next, page, Cover{});
  }
  const auto holds = std::prev(next);
  return holds->first == page ? holds : covers_.emplace_hint(next, page, holds->second);
}

void IoptPages::change(std::uint64_t first, std::uint64_t last, std::uint32_t Cover::* member,
                       std::int32_t by) {
  const auto end = split(last + 1);
  for (auto it = split(first); it != end; ++it) {
    it->second.*member += static_cast<std::uint32_t>(by);
  }
  for (const auto& edge :
       {covers_.find(first), end}) {  // an entry like the one before says nothing
    const Cover before = edge == covers_.begin() ? Cover{} : std::prev(edge)->second;
    if (edge->second == before) {
      covers_.erase(edge);
    }
  }
}

void IoptPages::add_area(std::uint64_t first, std::uint64_t last) {
  change(first, last, &Cover::areas, 1);
}

void IoptPages::remove_area(std::uint64_t first, std::uint64_t last) {
  change(first, last, &Cover::areas, -1);
}

bool IoptPages::add_access(std::uint64_t first, std::uint64_t last) {
  if (++pins_[{first, last}] != 1) {
    return false;
  }
  change(first, last, &Cover::accesses, 1);
  return true;
}

bool IoptPages::remove_access(std::uint64_t first, std::uint64_t last) {
  const auto pin = pins_.find({first, last});
  SMMULAB_CHECK(pin != pins_.end(), "an access gives back what it did not pin");
  if (--pin->second != 0) {
    return false;
  }
  pins_.erase(pin);
  change(first, last, &Cover::accesses, -1);
  return true;
}

}  // namespace smmulab::iommufd
