// SPDX-License-Identifier: Apache-2.0
#include "workloads/object_checker.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace smmulab::workloads {
namespace {

std::string_view kind_name(ObjectKind kind) {
  constexpr std::array<std::string_view, kObjectKinds> kNames = {"device", "ioas", "hwpt", "access",
                                                                 "fault"};
  return kNames.at(static_cast<std::size_t>(kind));
}

std::string with_article(ObjectKind kind) {
  const bool vowel = kind == ObjectKind::kIoas || kind == ObjectKind::kAccess;
  return fmt::format("{} {}", vowel ? "an" : "a", kind_name(kind));
}

// "an ioas", of several kinds "an ioas or a hwpt".
std::string expected_kinds(KindMask kinds) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kObjectKinds; ++i) {
    if ((kinds & bit(static_cast<ObjectKind>(i))) != 0) {
      names.push_back(with_article(static_cast<ObjectKind>(i)));
    }
  }
  return fmt::format("{}", fmt::join(names, " or "));
}

std::string describe(ObjectKey object, KindMask kinds) {
  std::string_view what = "object";
  for (std::size_t i = 0; i < kObjectKinds; ++i) {
    if (kinds == bit(static_cast<ObjectKind>(i))) {
      what = kind_name(static_cast<ObjectKind>(i));
    }
  }
  return fmt::format("{} {}", what, object & 0xffffffffU);
}

}  // namespace

MaybeProblem ObjectChecker::advance(const Op& op) {
  forget_old(op.issue);
  for (const Suspect& s : suspects_) {
    if (s.op.end < op.issue) {
      return problem_at(s.op.line, s.key, s.message);
    }
  }
  return std::nullopt;
}

MaybeProblem ObjectChecker::use(const Op& op, Key key, ObjectKey object, KindMask kinds) {
  const auto it = entries_.find(object);
  const std::string_view made = kinds == bit(ObjectKind::kDevice) ? "bound" : "made";
  if (it == entries_.end()) {
    return problem_at(op.line, key,
                      fmt::format("{} is used before it was {}", describe(object, kinds), made));
  }
  const Entry& entry = it->second;
  if (entry.dying && entry.gone.done_before(op)) {
    return problem_at(op.line, key,
                      fmt::format("{} is used after it was {} (line {})", describe(object, kinds),
                                  made == "bound" ? "unbound" : "destroyed", entry.gone.line));
  }
  if (!entry.made.done_before(op) || entry.doubtful) {
    return std::nullopt;  // the id's new owner is only being made: this may mean the one before
  }
  if ((kinds & bit(entry.kind)) == 0) {
    return problem_at(op.line, key,
                      fmt::format("expected {}, but line {} made it {}", expected_kinds(kinds),
                                  entry.made.line, with_article(entry.kind)));
  }
  return std::nullopt;
}

MaybeProblem ObjectChecker::make(const Op& op, Key key, ObjectKey object, ObjectKind kind) {
  Entry& entry = entries_[object];
  const bool alive = entry.made.line != 0 && !entry.dying;
  const PastOp before = entry.made;
  entry = Entry{PastOp(op), PastOp{}, kind, false, false};
  if (!alive) {
    return std::nullopt;
  }
  std::string message = fmt::format(
      "duplicate id: {} {} {} at line {}", kind_name(kind), object & 0xffffffffU,
      kind == ObjectKind::kDevice ? "was bound already" : "is alive, made", before.line);
  if (!op.has_duration()) {
    return problem_at(op.line, key, std::move(message));
  }
  Suspect suspect{object, key, PastOp(op), std::move(message)};
  if (!before.done_before(op)) {
    suspect.op.merge(before);  // either may come second, and the end of the first between them
    entry.made.merge(before);
    entry.doubtful = true;
  }
  suspects_.push_back(std::move(suspect));
  return std::nullopt;
}

MaybeProblem ObjectChecker::destroy(const Op& op, Key key, ObjectKey object, ObjectKind kind,
                                    Fate& fate) {
  const auto suspect = std::find_if(suspects_.begin(), suspects_.end(),
                                    [&](const Suspect& s) { return s.object == object; });
  if (suspect != suspects_.end()) {
    suspects_.erase(suspect);  // this ends the older object of that id
    fate = Fate::kReplaced;
    return std::nullopt;
  }
  fate = Fate::kDestroyed;
  if (MaybeProblem bad = use(op, key, object, bit(kind))) {
    return bad;
  }
  Entry& entry = entries_.at(object);
  entry.dying = true;
  entry.gone = PastOp(op);
  gone_.emplace_back(object, op.line);
  return std::nullopt;
}

MaybeProblem ObjectChecker::settle() {
  if (suspects_.empty()) {
    return std::nullopt;
  }
  return problem_at(suspects_.front().op.line, suspects_.front().key, suspects_.front().message);
}

void ObjectChecker::forget_old(SimTime now) {
  while (gone_.size() > kRemembered) {
    const auto& [object, line] = gone_.front();
    const auto it = entries_.find(object);
    if (it != entries_.end() && it->second.dying && it->second.gone.line == line) {
      if (it->second.gone.timed && it->second.gone.end >= now) {
        return;
      }
      entries_.erase(it);
    }
    gone_.pop_front();
  }
}

}  // namespace smmulab::workloads
