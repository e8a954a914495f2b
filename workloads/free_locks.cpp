// SPDX-License-Identifier: Apache-2.0
#include "workloads/free_locks.hpp"

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

std::string key_below(std::string key, std::string_view lock_class) {
  const std::size_t arrow = lock_class.find("->");
  key += lock_class.substr(0, arrow);
  if (arrow != std::string_view::npos) {
    key += '_';
    key += lock_class.substr(arrow + 2);
  }
  return key;
}

}  // namespace

std::string free_key(std::string_view lock_class) {
  return key_below("free.", lock_class);
}

std::string split_key(std::string_view lock_class) {
  return key_below("split.", lock_class);
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
