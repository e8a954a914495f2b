// SPDX-License-Identifier: Apache-2.0
#include "workloads/free_locks.hpp"

#include <fmt/format.h>

namespace smmulab::workloads {

std::string free_key(std::string_view lock_class) {
  std::string key = "free.";
  const std::size_t arrow = lock_class.find("->");
  key += lock_class.substr(0, arrow);
  if (arrow != std::string_view::npos) {
    key += '_';
    key += lock_class.substr(arrow + 2);
  }
  return key;
}

void describe(ParamTable& table, FreeLocks& free) {
  for (std::size_t i = 0; i < kFreeableClasses.size(); ++i) {
    table.add(free_key(kFreeableClasses[i]), &free.classes[i],
              fmt::format("what if {} cost nothing and excluded nobody", kFreeableClasses[i]),
              {"user's choice"});
  }
}

void make_free(lnx::LockRegistry& locks, const FreeLocks& free) {
  for (std::size_t i = 0; i < kFreeableClasses.size(); ++i) {
    if (free.classes[i]) {
      locks.make_free(kFreeableClasses[i]);
    }
  }
}

}  // namespace smmulab::workloads
