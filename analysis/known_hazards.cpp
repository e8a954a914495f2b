// SPDX-License-Identifier: Apache-2.0
#include "analysis/known_hazards.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace smmulab::analysis {
namespace {

enum class Shape : std::uint8_t { kTwice, kCycle, kLeak };

struct KnownHazard {
  std::string_view name;
  std::string_view text;
  Shape shape;
  std::string_view one;
  std::string_view other;  // kCycle: the cycle has both
};

constexpr std::array<KnownHazard, 6> kKnown{{
    {"H1", "two devices_lock (new hwpt, old hwpt) in no order: replace X to Y against Y to X",
     Shape::kTwice, "hwpt->devices_lock", ""},
    {"H2", "devices_lock, then ioas->mutex, against attach's ioas->mutex, then devices_lock",
     Shape::kCycle, "hwpt->devices_lock", "ioas->mutex"},
    {"H3", "two ioas->mutex in no order: a replace across two IOASes against one the other way",
     Shape::kTwice, "ioas->mutex", ""},
    {"H7", "iova_rwsem, then group->mutex (v6.2's query of reserved regions) against the reverse",
     Shape::kCycle, "iova_rwsem", "group->mutex"},
    {"leaked-reference", "a reference is never put: destroying the object waits for ever",
     Shape::kLeak, "destroy_rwsem", ""},
    {"leaked-reference", "", Shape::kLeak, "ioas->shortterm_users", ""},
}};

bool has_shape(const Finding& finding, Shape shape) {
  switch (finding.kind) {
    case FindingKind::kRecursion:
    case FindingKind::kInstanceOrder:
      return shape == Shape::kTwice;
    case FindingKind::kCycle:
      return shape == Shape::kCycle;
    case FindingKind::kHeldAtExit:
    case FindingKind::kLeakedReference:
      return shape == Shape::kLeak;
    default:
      return false;
  }
}

std::string_view without_subclass(std::string_view label) {
  return label.substr(0, label.rfind('/'));
}

bool has(const Finding& finding, std::string_view lock_class) {
  return std::any_of(
      finding.classes.begin(), finding.classes.end(),
      [lock_class](const std::string& label) { return without_subclass(label) == lock_class; });
}

}  // namespace

std::vector<std::string> known_hazards(const Finding& finding) {
  std::vector<std::string> names;
  for (const KnownHazard& known : kKnown) {
    if (has_shape(finding, known.shape) && has(finding, known.one) &&
        (known.other.empty() || has(finding, known.other))) {
      names.emplace_back(known.name);
    }
  }
  return names;
}

std::string_view hazard_text(std::string_view name) {
  const auto* it = std::find_if(kKnown.begin(), kKnown.end(),
                                [name](const KnownHazard& known) { return known.name == name; });
  return it == kKnown.end() ? std::string_view{} : it->text;
}

}  // namespace smmulab::analysis
