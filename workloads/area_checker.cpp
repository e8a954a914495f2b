// SPDX-License-Identifier: Apache-2.0
#include "workloads/area_checker.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

}  // namespace

MaybeProblem AreaChecker::map(const Op& op) {
  if (MaybeProblem late = advance(op)) {
    return late;
  }
  if (op.failed()) {
    return std::nullopt;
  }
  const Range range{op.first(), op.last()};
  std::erase_if(suspects_, [&](const Suspect& s) {
    return s.needs_map && (s.copies ? s.range.overlaps(range) : s.range.contains(range));
  });
  Area area{range.last, PastOp(op), !unmap_in_flight(op, range)};
  MaybeProblem overlap;
  for (auto it = first_overlap(range); it != areas_.end() && it->first <= range.last;) {
    const Range old{it->first, it->second.last};
    const bool raced = !it->second.made.done_before(op);  // either may have come second
    if (raced) {
      area.made.merge(it->second.made);
    }
    if (it->second.certain && !overlap) {
      const Range both{std::max(old.first, range.first), std::min(old.last, range.last)};
      overlap = accuse(
          op, {raced ? both : old, area.made, false,
               fmt::format("map of {:#x}..{:#x} overlaps the area {:#x}..{:#x} of line "
                           "{}, which was not unmapped",
                           range.first, range.last, old.first, old.last, it->second.made.line)});
    }
    area.certain = area.certain && !raced && !it->second.certain;
    if (op.has_duration()) {
      gave_way_.push_back({old, PastOp(op)});
    }
    it = give_way(it, range, raced);
  }
  areas_.emplace(range.first, area);
  return overlap;
}

// The area at `it` was gone when the map of `range` succeeded. But if it raced with that map (or
// stands for two areas that raced), what lies beside `range` may still be there.
AreaChecker::Areas::iterator AreaChecker::give_way(Areas::iterator it, Range range, bool raced) {
  const std::uint64_t first = it->first;
  Area rest = it->second;
  it = areas_.erase(it);
  if (!raced && !rest.made.merged()) {
    return it;
  }
  rest.certain = false;
  if (rest.last > range.last) {
    areas_.emplace(range.last + 1, rest);
  }
  if (first < range.first) {
    rest.last = range.first - 1;
    areas_.emplace(first, rest);
  }
  return it;
}

MaybeProblem AreaChecker::unmap(const Op& op) {
  if (MaybeProblem late = advance(op)) {
    return late;
  }
  const Range range{op.first(), op.last()};
  if (op.failed()) {
    blur(range);
    return std::nullopt;
  }
  bool hit = unmap_in_flight(op, range);
  if (MaybeProblem cut = remove(op, range, hit)) {
    return cut;
  }
  if (hit) {
    return std::nullopt;
  }
  return accuse(op, {range, PastOp(op), true,
                     fmt::format("unmap of {:#x}..{:#x} is not recorded as failed, but nothing is "
                                 "mapped there",
                                 range.first, range.last)});
}

MaybeProblem AreaChecker::copy_from(const Op& op) {
  if (MaybeProblem late = advance(op)) {
    return late;
  }
  const Range range{op.source.value(), op.source.value() + (op.length.value() - 1)};
  std::uint64_t covered = range.first;
  for (auto it = first_overlap(range); it != areas_.end() && it->first <= covered; ++it) {
    if (it->second.last >= range.last) {
      return std::nullopt;
    }
    covered = it->second.last + 1;
  }
  const auto next = areas_.lower_bound(covered);
  const Range gap{covered,
                  next == areas_.end() ? range.last : std::min(range.last, next->first - 1)};
  const bool was_there = std::any_of(gave_way_.begin(), gave_way_.end(), [&](const Flight& f) {
    return f.range.overlaps(gap) && !f.op.done_before(op);
  });
  if (was_there || unmap_in_flight(op, gap)) {
    return std::nullopt;
  }
  return accuse(op, {gap, PastOp(op), true,
                     fmt::format("copy from {:#x}..{:#x} of ioas {} is not recorded as failed, but "
                                 "nothing is mapped at {:#x}",
                                 range.first, range.last, op.pt.value(), covered),
                     true});
}

MaybeProblem AreaChecker::unmap_all(const Op& op) {
  if (MaybeProblem late = advance(op)) {
    return late;
  }
  const Range everything{0, kMax};
  if (op.failed()) {
    blur(everything);
    return std::nullopt;
  }
  bool hit = false;
  return remove(op, everything, hit);
}

void AreaChecker::doubt(const Op& op) {
  const bool all = op.kind == OpKind::kUnmapAll;
  const Range range{all ? 0 : op.first(), all ? kMax : op.last()};
  blur(range);
  if (op.failed()) {
    return;
  }
  if (op.kind != OpKind::kMap && op.kind != OpKind::kCopy) {
    note_unmap(op, range);
    return;
  }
  Area area{range.last, PastOp(op), false};
  for (auto it = first_overlap(range); it != areas_.end() && it->first <= range.last;) {
    area.made.merge(it->second.made);
    if (op.has_duration()) {
      gave_way_.push_back({{it->first, it->second.last}, PastOp(op)});
    }
    it = give_way(it, range, true);
  }
  areas_.emplace(range.first, area);
}

void AreaChecker::doubt_all() {
  blur({0, kMax});
}

// Takes away what the successful unmap `op` took away for certain.
MaybeProblem AreaChecker::remove(const Op& op, Range range, bool& hit) {
  note_unmap(op, range);
  for (auto it = first_overlap(range); it != areas_.end() && it->first <= range.last;) {
    const Range area{it->first, it->second.last};
    const bool inside = range.contains(area);
    if (!inside && it->second.certain && it->second.made.done_before(op)) {
      it->second.certain = false;
      const std::string message = fmt::format(
          "unmap of {:#x}..{:#x} is not recorded as failed, but would cut the area {:#x}..{:#x} of "
          "line {}",
          range.first, range.last, area.first, area.last, it->second.made.line);
      if (MaybeProblem cut = accuse(op, {area, PastOp(op), false, message})) {
        return cut;
      }
    }
    hit = true;
    if (inside && it->second.made.done_before(op)) {
      it = areas_.erase(it);
    } else {
      it->second.certain = false;
      ++it;
    }
  }
  return std::nullopt;
}

// It explains suspects, and until its end it may take away more.
void AreaChecker::note_unmap(const Op& op, Range range) {
  std::erase_if(suspects_,
                [&](const Suspect& s) { return !s.needs_map && range.contains(s.range); });
  if (op.has_duration()) {
    unmaps_.push_back({range, PastOp(op)});
  }
}

MaybeProblem AreaChecker::settle() {
  unmaps_.clear();
  gave_way_.clear();
  if (suspects_.empty()) {
    return std::nullopt;
  }
  const Suspect& first = suspects_.front();
  return problem_at(first.op.line, first.key(), first.message);
}

// Forgets what has ended by the time `op` begins; a suspect that has ended is guilty.
MaybeProblem AreaChecker::advance(const Op& op) {
  std::erase_if(unmaps_, [&](const Flight& f) { return f.op.end < op.issue; });
  std::erase_if(gave_way_, [&](const Flight& f) { return f.op.end < op.issue; });
  for (const Suspect& s : suspects_) {
    if (s.op.end < op.issue) {
      return problem_at(s.op.line, s.key(), s.message);
    }
  }
  return std::nullopt;
}

MaybeProblem AreaChecker::accuse(const Op& op, Suspect suspect) {
  if (!op.has_duration()) {
    return problem_at(op.line, suspect.key(), std::move(suspect.message));
  }
  suspects_.push_back(std::move(suspect));
  return std::nullopt;
}

AreaChecker::Areas::iterator AreaChecker::first_overlap(Range range) {
  auto it = areas_.upper_bound(range.first);
  if (it != areas_.begin() && std::prev(it)->second.last >= range.first) {
    --it;
  }
  return it;
}

bool AreaChecker::unmap_in_flight(const Op& op, Range range) const {
  return std::any_of(unmaps_.begin(), unmaps_.end(), [&](const Flight& f) {
    return f.range.overlaps(range) && !f.op.done_before(op);
  });
}

void AreaChecker::blur(Range range) {
  for (auto it = first_overlap(range); it != areas_.end() && it->first <= range.last; ++it) {
    it->second.certain = false;
  }
}

}  // namespace smmulab::workloads
