// SPDX-License-Identifier: Apache-2.0
// Range invalidation arithmetic. Law: each command takes the lowest five-bit chunk of the page
// count that begins with its lowest set bit (Linux 6.12 __arm_smmu_tlb_inv_range()); chunks worked
// out by hand.
#include "models/smmuv3/driver/invalidation.hpp"

#include <gtest/gtest.h>

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t k2M = 2ULL << 20U;
constexpr std::uint64_t k1G = 1ULL << 30U;

std::uint64_t for_pages(std::uint64_t pages, bool leaf = true) {
  return tlbi_commands(pages * kPage, kPage, kPage, true, leaf);
}

TEST(RangeInvalidation, EveryPowerOfTwoIsOneCommand) {
  for (unsigned shift = 0; shift < 36; ++shift) {
    EXPECT_EQ(for_pages(1ULL << shift), 1U) << "2^" << shift;
  }
}

TEST(RangeInvalidation, FiveBitsFitIntoOneCommand) {
  EXPECT_EQ(for_pages(31), 1U);        // NUM 31, SCALE 0
  EXPECT_EQ(for_pages(31 * 512), 1U);  // NUM 31, SCALE 9
  EXPECT_EQ(for_pages(21), 1U);        // 0b10101
}

TEST(RangeInvalidation, MoreBitsTakeAChunkEach) {
  EXPECT_EQ(for_pages(33), 2U);        // 1 + 2^5
  EXPECT_EQ(for_pages(63), 2U);        // 31 + 2^5
  EXPECT_EQ(for_pages(1023), 2U);      // 31 + 31 * 2^5
  EXPECT_EQ(for_pages(1024 + 1), 2U);  // 1 + 2^10
  EXPECT_EQ(for_pages(2047), 3U);      // 31 + 31 * 2^5 + 2^10
  EXPECT_EQ(for_pages((1ULL << 18U) - 1), 4U);
}

TEST(RangeInvalidation, ChunksBeginAtSetBits) {
  // 0b100001000010: bits 1, 6 and 11; five bits from bit 1 end at bit 5.
  EXPECT_EQ(for_pages(0b100001000010), 3U);
  // Bits 1 and 5 share a chunk.
  EXPECT_EQ(for_pages(0b100010), 1U);
}

TEST(RangeInvalidation, CountsPagesWhateverTheLeaf) {
  EXPECT_EQ(tlbi_commands(k2M, k2M, kPage, true), 1U);
  EXPECT_EQ(tlbi_commands(33 * k2M, k2M, kPage, true), 2U);
}

TEST(RangeInvalidation, NonLeafAvoidsASinglePage) {
  EXPECT_EQ(for_pages(1, false), 1U);   // becomes 2 pages: SCALE 1
  EXPECT_EQ(for_pages(33, false), 1U);  // becomes 34: bits 1 and 5 are one chunk
}

TEST(PlainInvalidation, OneCommandForEachGranuleWithoutABound) {
  EXPECT_EQ(tlbi_commands(kPage, kPage, kPage, false), 1U);
  EXPECT_EQ(tlbi_commands(k2M, kPage, kPage, false), 512U);
  EXPECT_EQ(tlbi_commands(k2M, k2M, kPage, false), 1U);
  EXPECT_EQ(tlbi_commands(k1G, kPage, kPage, false), 262144U);
  EXPECT_EQ(tlbi_commands(k2M + kPage, k2M, kPage, false), 2U);
}

}  // namespace
}  // namespace smmulab::smmu
