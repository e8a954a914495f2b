// SPDX-License-Identifier: Apache-2.0
#include "analysis/cycles.hpp"

#include <gtest/gtest.h>

namespace smmulab::analysis {
namespace {

TEST(Cycles, NoneInATree) {
  EXPECT_TRUE(find_cycles({{0, 1}, {0, 2}, {1, 2}}, 4).empty());
  EXPECT_TRUE(find_cycles({}, 0).empty());
}

TEST(Cycles, TwoVertices) {
  const auto found = find_cycles({{0, 1}, {1, 0}}, 2);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].vertices, (std::vector<std::uint32_t>{0, 1}));
  EXPECT_EQ(found[0].cycles, (std::vector<Cycle>{{0, 1}}));
}

TEST(Cycles, OfOneVertex) {
  const auto found = find_cycles({{0, 1}, {1, 1}}, 2);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].vertices, (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(found[0].cycles, (std::vector<Cycle>{{1}}));
}

//  0 -> 1 -> 2 -> 3 -> 0 (arcs 0..3), with 2 -> 1 as a short way back (arc 4), and 4 <-> 5 apart.
TEST(Cycles, TheShortestOfEachComponentComesFirstAndEveryArcIsOnOne) {
  const std::vector<Arc> arcs = {{0, 1}, {1, 2}, {2, 3}, {3, 0}, {2, 1}, {5, 4}, {4, 5}, {0, 4}};
  const auto found = find_cycles(arcs, 6);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].vertices, (std::vector<std::uint32_t>{0, 1, 2, 3}));
  ASSERT_EQ(found[0].cycles.size(), 2U);
  EXPECT_EQ(found[0].cycles[0], (Cycle{1, 4}));
  EXPECT_EQ(found[0].cycles[1], (Cycle{1, 2, 3, 0}));
  EXPECT_FALSE(found[0].more);
  EXPECT_EQ(found[1].cycles, (std::vector<Cycle>{{6, 5}}));
}

// Every pair of four vertices both ways: six cycles of two.
TEST(Cycles, TheLimitIsToldOf) {
  std::vector<Arc> arcs;
  for (std::uint32_t a = 0; a < 4; ++a) {
    for (std::uint32_t b = 0; b < 4; ++b) {
      if (a != b) {
        arcs.push_back({a, b});
      }
    }
  }
  const auto all = find_cycles(arcs, 4);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].cycles.size(), 6U);
  const auto some = find_cycles(arcs, 4, 2);
  EXPECT_EQ(some[0].cycles.size(), 2U);
  EXPECT_TRUE(some[0].more);
}

}  // namespace
}  // namespace smmulab::analysis
