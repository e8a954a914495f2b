// SPDX-License-Identifier: Apache-2.0
#include "workloads/object_checker.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

std::string_view kind_name(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kDevice:
      return "device";
    case ObjectKind::kIoas:
      return "ioas";
    case ObjectKind::kHwpt:
      return "hwpt";
  }
  return "object";
}

std::string describe(ObjectKey object, bool ioas, bool hwpt) {
  const std::uint64_t number = object & 0xffffffffU;
  if (!ioas && !hwpt) {
    return fmt::format("device {}", number);
  }
  return fmt::format("{} {}", ioas && hwpt ? "object" : (ioas ? "ioas" : "hwpt"), number);
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

MaybeProblem ObjectChecker::use(const Op& op, Key key, ObjectKey object, bool ioas, bool hwpt) {
  const auto it = entries_.find(object);
  const std::string_view made = !ioas && !hwpt ? "bound" : "made";
  if (it == entries_.end()) {
    return problem_at(
        op.line, key,
        fmt::format("{} is used before it was {}", describe(object, ioas, hwpt), made));
  }
  const Entry& entry = it->second;
  if (entry.dying && entry.gone.done_before(op)) {
    return problem_at(
        op.line, key,
        fmt::format("{} is used after it was {} (line {})", describe(object, ioas, hwpt),
                    made == "bound" ? "unbound" : "destroyed", entry.gone.line));
  }
  if (!entry.made.done_before(op) || entry.doubtful) {
    return std::nullopt;  // the id's new owner is only being made: this may mean the one before
  }
  const bool fits = entry.kind == ObjectKind::kDevice ||
                    (entry.kind == ObjectKind::kIoas && ioas) ||
                    (entry.kind == ObjectKind::kHwpt && hwpt);
  if (!fits) {
    return problem_at(
        op.line, key,
        fmt::format("expected {}, but line {} made it {}", ioas ? "an ioas" : "a hwpt",
                    entry.made.line, entry.kind == ObjectKind::kIoas ? "an ioas" : "a hwpt"));
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
  if (MaybeProblem bad =
          use(op, key, object, kind == ObjectKind::kIoas, kind == ObjectKind::kHwpt)) {
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
