// SPDX-License-Identifier: Apache-2.0
// Range invalidation arithmetic. Law: each command takes the lowest five-bit chunk of the page
// count that begins with its lowest set bit (Linux 6.12 __arm_smmu_tlb_inv_range()); chunks worked
// out by hand.
#include "models/smmuv3/driver/invalidation.hpp"

#include "models/smmuv3/driver/testing.hpp"

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

// --- What one unmap sends. One SYNC takes 1 us, everything else nothing --------------------------

class UnmapTest : public DriverTest {
 protected:
  UnmapTest() : DriverTest(DriverVersion::k6_12) {}

  Ps unmap(Domain& d, std::uint64_t iova, std::uint64_t size, std::uint64_t run) {
    return timed([&, iova, size, run](lnx::Thread& t) -> Task<void> {
      const int rc = co_await driver().map(t, d, Iova{iova}, Bytes{size}, Bytes{run});
      EXPECT_EQ(rc, 0);
      EXPECT_EQ(sent(), "");  // maps send nothing
      locks();
      co_await driver().unmap(t, d, Iova{iova}, Bytes{size});
    });
  }
};

TEST_F(UnmapTest, OneTlbiAndItsSync) {
  Domain& d = *master(1).domain;
  EXPECT_EQ(unmap(d, 0, kPage, kPage), 1_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 1, SYNC 1");
  EXPECT_EQ(locks(), "");
}

TEST_F(UnmapTest, Stage2InvalidatesByIpa) {
  driver_params.stage = Stage::kS2;
  Domain& d = *master(1).domain;
  unmap(d, 0, 33 * kPage, kPage);
  EXPECT_EQ(sent(), "TLBI_S2_IPA 2, SYNC 1");
}

TEST_F(UnmapTest, AtcsAfterwardsUnderTheListsLock) {
  Master& ats = master(3, true);
  Domain& d = *ats.domain;
  driver().boot_attach(bare_master(2, false), d);  // has no ATC
  driver().boot_attach(bare_master(1, true), d);
  EXPECT_EQ(unmap(d, 0, kPage, kPage), 2_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 1, ATC_INV 4, SYNC 2");
  EXPECT_EQ(locks(), "+devices_lock -devices_lock");
}

TEST_F(UnmapTest, WithoutRangesInBatchesOf64AndOneSync) {
  driver_params.range_inv = false;
  Master& m = master(1);
  const std::uint64_t before = m.smmu->queue.stat().submissions;
  EXPECT_EQ(unmap(*m.domain, 0, 130 * kPage, kPage), 1_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 130, SYNC 1");
  EXPECT_EQ(m.smmu->queue.stat().submissions - before, 3U);  // 64, 64, 2 with SYNC
  unmap(*m.domain, 0, 64 * kPage, kPage);
  EXPECT_EQ(m.smmu->queue.stat().submissions - before, 4U);  // a full batch takes the SYNC along
}

TEST_F(UnmapTest, ADroppedTableIsASyncOfItsOwn) {
  Domain& d = *master(1).domain;
  EXPECT_EQ(unmap(d, 0, k2M, kPage), 2_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 2, SYNC 2");
  EXPECT_EQ(unmap(d, 0, k2M, k2M), 1_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 1, SYNC 1");
}

TEST_F(UnmapTest, ADroppedTableWithoutRangesIsInvalidatedPageByPage) {
  driver_params.range_inv = false;
  unmap(*master(1).domain, 0, k2M, kPage);
  EXPECT_EQ(sent(), "TLBI_NH_VA 513, SYNC 2");
}

}  // namespace
}  // namespace smmulab::smmu
