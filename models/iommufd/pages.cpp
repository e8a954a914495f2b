// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/pages.hpp"

#include <iterator>

#include "sim/check.hpp"

namespace smmulab::iommufd {

IoptPages::Holder IoptPages::holder_of(const Cover& cover) const {
  if (cover.accesses != 0) {
    return Holder::kAccess;
  }
  return cover.areas + whole_areas_ != 0 ? Holder::kDomain : Holder::kNobody;
}

IoptPages::Parts& IoptPages::parts() {
  if (!parts_) {
    parts_ = std::make_unique<Parts>();
  }
  return *parts_;
}

void IoptPages::drop_empty_parts() {
  if (parts_->covers.empty() && parts_->pins.empty()) {
    parts_.reset();
  }
}

IoptPages::Span IoptPages::span(std::uint64_t first, std::uint64_t last) const {
  if (!parts_) {
    return {holder_of({}), last};
  }
  const Covers& covers = parts_->covers;
  auto next = covers.upper_bound(first);
  const Cover cover = next == covers.begin() ? Cover{} : std::prev(next)->second;
  const Holder holder = holder_of(cover);
  while (next != covers.end() && next->first <= last && holder_of(next->second) == holder) {
    ++next;
  }
  const bool ends = next != covers.end() && next->first <= last;
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

IoptPages::Covers::iterator IoptPages::Parts::split(std::uint64_t page) {
  const auto next = covers.upper_bound(page);
  if (next == covers.begin()) {
    return covers.emplace_hint(next, page, Cover{});
  }
  const auto holds = std::prev(next);
  return holds->first == page ? holds : covers.emplace_hint(next, page, holds->second);
}

void IoptPages::Parts::change(std::uint64_t first, std::uint64_t last,
                              std::uint32_t Cover::* member, std::int32_t by) {
  const auto end = split(last + 1);
  for (auto it = split(first); it != end; ++it) {
    it->second.*member += static_cast<std::uint32_t>(by);
  }
  for (const auto& edge : {covers.find(first), end}) {  // an entry like the one before says nothing
    const Cover before = edge == covers.begin() ? Cover{} : std::prev(edge)->second;
    if (edge->second == before) {
      covers.erase(edge);
    }
  }
}

void IoptPages::add_area(std::uint64_t first, std::uint64_t last) {
  if (is_whole(first, last)) {
    ++whole_areas_;
  } else {
    parts().change(first, last, &Cover::areas, 1);
  }
}

void IoptPages::remove_area(std::uint64_t first, std::uint64_t last) {
  if (is_whole(first, last)) {
    --whole_areas_;
  } else {
    parts().change(first, last, &Cover::areas, -1);
    drop_empty_parts();
  }
}

bool IoptPages::add_access(std::uint64_t first, std::uint64_t last) {
  if (++parts().pins[{first, last}] != 1) {
    return false;
  }
  parts_->change(first, last, &Cover::accesses, 1);
  return true;
}

bool IoptPages::remove_access(std::uint64_t first, std::uint64_t last) {
  SMMULAB_CHECK(parts_ != nullptr, "an access gives back what nobody pinned");
  const auto pin = parts_->pins.find({first, last});
  SMMULAB_CHECK(pin != parts_->pins.end(), "an access gives back what it did not pin");
  if (--pin->second != 0) {
    return false;
  }
  parts_->pins.erase(pin);
  parts_->change(first, last, &Cover::accesses, -1);
  drop_empty_parts();
  return true;
}

}  // namespace smmulab::iommufd
