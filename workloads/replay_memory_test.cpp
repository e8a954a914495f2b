// SPDX-License-Identifier: Apache-2.0
// A replay's memory does not grow with its trace, not even if a thread's first operation stands
// behind all those of another.
#include <gtest/gtest.h>

#include "sim/sanitized_testing.hpp"
#include "workloads/reference_state_testing.hpp"
#include "workloads/replay_testing.hpp"

namespace smmulab::workloads {
namespace {

constexpr bool kMemoryIsMeasurable = !kSanitized;  // there, what is freed is kept

// 300 thousand queued operations would take more than 60 MiB: each is 80 bytes and its waits.
constexpr std::uint64_t kFew = 10'000;
constexpr std::uint64_t kMany = unless_sanitized(300'000, 30'000);
constexpr long kAllowedKib = 8 * 1024;

long peak_kib(std::uint64_t operations, bool one_after_another) {
  const testing::TempDir dir;
  const std::string path = dir.file("long.iotrace.zst");
  (void)testing::write_independent_trace(path, 1, {2, operations, one_after_another});
  const testing::CommandResult result =
      testing::run_replay_program({path, "-s", "replay.memory_mib=1"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.max_rss_kib;
}

TEST(ReplayMemoryTest, DoesNotGrowWithTheTrace) {
  const long few = peak_kib(kFew, false);
  const long many = peak_kib(kMany, false);
  if (kMemoryIsMeasurable) {
    EXPECT_LE(many, few + kAllowedKib);
  }
}

TEST(ReplayMemoryTest, OperationsReadAheadSpillToAFile) {
  const long few = peak_kib(kFew, true);
  const long many = peak_kib(kMany, true);
  if (kMemoryIsMeasurable) {
    EXPECT_LE(many, few + kAllowedKib);
  }
}

}  // namespace
}  // namespace smmulab::workloads
