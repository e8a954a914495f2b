// SPDX-License-Identifier: Apache-2.0
#include "analysis/known_hazards.hpp"

#include <algorithm>
#include <array>

namespace smmulab::analysis {
namespace {

// One class taken twice, or a cycle that has both classes.
struct KnownHazard {
  std::string_view name;
  std::string_view text;
  std::string_view one;
  std::string_view other;  // equal to `one`: taken twice
};

constexpr std::array<KnownHazard, 4> kKnown{{
    {"H1",
     "devices_lock of the new hwpt, then of the old one, unordered: replace X to Y against Y to X",
     "hwpt->devices_lock", "hwpt->devices_lock"},
    {"H2", "devices_lock, then ioas->mutex, against attach's ioas->mutex, then devices_lock",
     "hwpt->devices_lock", "ioas->mutex"},
    {"H3", "ioas->mutex of one IOAS, then of another, against a replace the other way",
     "ioas->mutex", "ioas->mutex"},
    {"H7",
     "iova_rwsem, then group->mutex (v6.2's query of reserved regions), against the other order",
     "iova_rwsem", "group->mutex"},
}};

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
  const bool twice =
      finding.kind == FindingKind::kRecursion || finding.kind == FindingKind::kInstanceOrder;
  if (!twice && finding.kind != FindingKind::kCycle) {
    return names;
  }
  for (const KnownHazard& known : kKnown) {
    if ((known.one == known.other) == twice && has(finding, known.one) &&
        has(finding, known.other)) {
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
