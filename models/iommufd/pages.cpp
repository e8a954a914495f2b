// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/pages.hpp"

#include <algorithm>

#include "sim/check.hpp"

namespace smmulab::iommufd {

IoptPages::Holder IoptPages::holder_of(const Use& use) {
  return use.area == nullptr ? Holder::kAccess : Holder::kDomain;
}

IoptPages::Span IoptPages::span(std::uint64_t first, std::uint64_t last) const {
  Span span{Holder::kNobody, last};
  std::uint64_t covered = first;  // the holder's longest stretch
  for (const Use& use : uses_) {
    const Holder holder = holder_of(use);
    if (use.first <= first && first <= use.last && span.holder != Holder::kAccess) {
      covered = holder == span.holder ? std::max(covered, use.last) : use.last;
      span.holder = holder;
    } else if (use.first <= first && first <= use.last && holder == Holder::kAccess) {
      covered = std::max(covered, use.last);
    }
  }
  if (span.holder != Holder::kNobody) {
    span.last = std::min(last, covered);
  }
  if (span.holder == Holder::kAccess) {
    return span;
  }
  for (const Use& use : uses_) {  // what begins further on and goes before it
    if (use.first > first && use.first <= span.last &&
        (span.holder == Holder::kNobody || holder_of(use) == Holder::kAccess)) {
      span.last = use.first - 1;
    }
  }
  return span;
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

void IoptPages::add_area(const Area& area, std::uint64_t first, std::uint64_t last) {
  uses_.push_back({first, last, &area, 1});
}

void IoptPages::remove_area(const Area& area) {
  std::erase_if(uses_, [&area](const Use& use) { return use.area == &area; });
}

bool IoptPages::add_access(std::uint64_t first, std::uint64_t last) {
  for (Use& use : uses_) {
    if (use.area == nullptr && use.first == first && use.last == last) {
      ++use.users;
      return false;
    }
  }
  uses_.push_back({first, last, nullptr, 1});
  return true;
}

bool IoptPages::remove_access(std::uint64_t first, std::uint64_t last) {
  const auto use = std::find_if(uses_.begin(), uses_.end(), [=](const Use& u) {
    return u.area == nullptr && u.first == first && u.last == last;
  });
  SMMULAB_CHECK(use != uses_.end(), "an access gives back what it did not pin");
  if (--use->users != 0) {
    return false;
  }
  uses_.erase(use);
  return true;
}

std::uint64_t IoptPages::access_users() const {
  std::uint64_t users = 0;
  for (const Use& use : uses_) {
    users += use.area == nullptr ? use.users : 0;
  }
  return users;
}

}  // namespace smmulab::iommufd
