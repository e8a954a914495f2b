// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/lowest_ids.hpp"

#include <set>

#include <gtest/gtest.h>

#include "sim/random.hpp"

namespace smmulab::smmu {
namespace {

TEST(LowestIds, FromOneToTheLast) {
  LowestIds ids;
  for (std::uint32_t id = 1; id < 65'536; ++id) {
    EXPECT_EQ(ids.take(16), id);
  }
  EXPECT_EQ(ids.take(16), std::nullopt);
  ids.give_back(65'535);
  EXPECT_EQ(ids.take(16), 65'535U);
  EXPECT_EQ(ids.take(16), std::nullopt);
}

// Law: the least number that is not taken, for any order of taking and giving back.
TEST(LowestIds, TheLowestThatIsFree) {
  RandomStream random(1, "lowest ids");
  LowestIds ids;
  std::set<std::uint32_t> taken;
  for (int i = 0; i < 10'000; ++i) {
    if (random.uniform_int(3) != 0) {
      std::uint32_t lowest = 1;
      while (taken.contains(lowest)) {
        ++lowest;
      }
      const auto id = ids.take(6);
      EXPECT_EQ(id, lowest < 64 ? std::optional{lowest} : std::nullopt);
      if (id) {
        taken.insert(*id);
      }
    } else if (!taken.empty()) {
      const auto at =
          std::next(taken.begin(), static_cast<std::ptrdiff_t>(random.uniform_int(taken.size())));
      ids.give_back(*at);
      taken.erase(at);
    }
  }
}

}  // namespace
}  // namespace smmulab::smmu
