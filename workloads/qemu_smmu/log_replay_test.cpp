// SPDX-License-Identifier: Apache-2.0
// The QEMU oracle on small logs written here line by line: what must agree, what must be found
// wrong, and what a log may lack. Recorded logs are checked by tests/test_qemu_oracle.py.
#include "workloads/qemu_smmu/log_replay.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab::workloads::qemu {
namespace {

constexpr std::uint64_t kRoot = 0x4000'0000, kL1 = 0x4000'1000, kL2 = 0x4000'2000,
                        kL3 = 0x4000'3000;

// Writes lines as QEMU 7.2 does, for one thread.
class Log {
 public:
  explicit Log(int thread = 100) : thread_(thread) {}
  Log& line(const std::string& text) {
    lines.push_back(fmt::format("{}@1795342578.{:06}:{}", thread_, lines.size(), text));
    return *this;
  }
  Log& boot() {
    line("smmuv3_cmdq_opcode <--- SMMU_CMD_CFGI_STE_RANGE");
    line("smmuv3_cmdq_cfgi_ste_range start=0x0 - end=0xffffffff");
    line("smmuv3_cmdq_opcode <--- SMMU_CMD_TLBI_NSNH_ALL");
    line("smmuv3_cmdq_tlbi_nh ");
    return line("smmu_iotlb_inv_all IOTLB invalidate all");
  }
  Log& config_miss() {
    line("smmuv3_config_cache_miss Config cache MISS for sid=0x130 (hits=0, misses=1, hit rate=0)");
    line("smmuv3_find_ste sid=0x130 features:0x1, sid_split:0x8");
    line(
        "smmuv3_find_ste_2lvl strtab_base:0x4000000043a37000 l1ptr:0x43a37000 l1_off:0x1, "
        "l2ptr:0x7ac60000 l2_off:0x30 max_l2_ste:511");
    line("smmuv3_get_ste STE addr: 0x7ac60c00");
    line("smmuv3_get_cd CD addr: 0x4538d000");
    line("smmuv3_decode_cd oas=44");
    return line(
        fmt::format("smmuv3_decode_cd_tt TT[0]:tsz:16 ttb:{:#x} granule_sz:12 had:0", kRoot));
  }
  Log& config_hit() {
    return line(
        "smmuv3_config_cache_hit Config cache HIT for sid=0x130 (hits=1, misses=1, hit rate=50)");
  }
  Log& lookup(bool hit, std::uint64_t iova) {
    return line(
        fmt::format("smmu_iotlb_lookup_{} IOTLB cache {} asid=1 addr={:#x} hit=0 miss=1 "
                    "hit rate=0",
                    hit ? "hit" : "miss", hit ? "HIT" : "MISS", iova));
  }
  Log& pte(unsigned level, std::uint64_t base, std::uint64_t index, std::uint64_t iova,
           std::uint64_t word) {
    line(fmt::format("smmu_get_pte baseaddr={:#x} index={:#x}, pteaddr={:#x}, pte={:#x}", base,
                     index, base + 8 * index, word));
    return line(
        fmt::format("smmu_ptw_level level={} iova={:#x} subpage_sz=0x1000 baseaddr={:#x} "
                    "offset={} => pte={:#x}",
                    level, iova, base, index, word));
  }
  Log& upper_levels(std::uint64_t iova) {
    pte(0, kRoot, 0, iova, kL1 | 3);
    return pte(1, kL1, 0, iova, kL2 | 3);
  }
  // A page below 2 MiB, to physical page 0x80000 + page.
  Log& page_walk(std::uint64_t iova) {
    const std::uint64_t page = iova >> 12U;
    const std::uint64_t word = (0x8000'0000 + (page << 12U)) | 0xF47;
    upper_levels(iova).pte(2, kL2, 0, iova, kL3 | 3).pte(3, kL3, page, iova, word);
    return line(
        fmt::format("smmu_ptw_page_pte stage=1 level=3 iova={:#x} base@={:#x} pte@={:#x} "
                    "pte={:#x} page address = {:#x}",
                    iova, kL3, kL3 + 8 * page, word, word & ~0xFFFULL));
  }
  Log& insert(std::uint64_t iova, int level = 3) {
    return line(
        fmt::format("smmu_iotlb_insert IOTLB ++ asid=1 addr={:#x} tg=1 level={}", iova, level));
  }
  Log& success(std::uint64_t iova, std::uint64_t pa, int perm = 3) {
    return line(
        fmt::format("smmuv3_translate_success smmuv3-iommu-memory-region-48-13 sid=0x130 "
                    "iova={:#x} translated={:#x} perm={:#x}",
                    iova, pa, perm));
  }
  Log& miss_of(std::uint64_t iova) {
    lookup(false, iova).page_walk(iova).insert(iova);
    return success(iova + 8, 0x8000'0008 + iova);
  }
  Log& hit_of(std::uint64_t iova) {
    return config_hit().lookup(true, iova).success(iova + 8, 0x8000'0008 + iova);
  }
  Log& invalidate(std::uint64_t iova, unsigned pages, int ttl = 3) {
    line("smmuv3_cmdq_opcode <--- SMMU_CMD_TLBI_NH_VA");
    line(
        fmt::format("smmuv3_s1_range_inval vmid=0 asid=1 addr={:#x} tg=1 num_pages={:#x} ttl={} "
                    "leaf=1",
                    iova, pages, ttl));
    return line("smmuv3_cmdq_opcode <--- SMMU_CMD_SYNC");
  }
  std::vector<std::string> lines;

 private:
  int thread_;
};

Report replay(const std::vector<std::string>& lines) {
  LogReplay replay("test.log");
  std::uint64_t number = 0;
  for (const std::string& line : lines) {
    const LogEvent event = parse_log_line(line);
    ++number;
    if (event.kind == LogKind::kNoise) {
      replay.noise();
    } else {
      replay.feed(event, number);
    }
  }
  return replay.finish();
}

const Tally& tally(const Report& report, Check check) {
  return report.tallies[static_cast<std::size_t>(check)];
}
std::string first_miss(const Report& report) {
  return report.misses.empty() ? ""
                               : fmt::format("{}: {} / {}", check_name(report.misses[0].check),
                                             report.misses[0].recorded, report.misses[0].model);
}

TEST(LogReplayTest, MissHitAndInvalidationAgree) {
  Log log;
  log.boot().config_miss().miss_of(0x5000).hit_of(0x5000);
  log.invalidate(0x4000, 2).config_hit().miss_of(0x5000);
  const Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(report.translations, 3U);
  EXPECT_EQ(report.hits, 1U);
  EXPECT_EQ(report.reads, 8U);
  EXPECT_EQ(report.adopted_entries + report.incomplete + report.damaged, 0U);
  EXPECT_EQ(tally(report, Check::kConfigAddress).agree, 1U);
}

TEST(LogReplayTest, ABlockIsToldFromAPage) {
  const std::uint64_t iova = 0x20'3000, block = 0x20'0000;
  Log log;
  log.boot().config_miss().lookup(false, iova).upper_levels(iova);
  log.pte(2, kL2, 1, iova, 0x9000'0F45);
  log.line(
      "smmu_ptw_block_pte stage=1 level=2 base@=0x40002000 pte@=0x40002008 pte=0x90000f45 "
      "iova=0x203000 block address = 0x90000000 block size = 2 MiB");
  log.insert(block, 2).success(iova, 0x9000'3000);
  log.config_hit().lookup(true, 0x3F'F000).success(0x3F'F123, 0x901F'F123);
  log.invalidate(0x3F'0000, 1).config_hit().lookup(false, iova);
  Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(report.blocks, 2U);
}

TEST(LogReplayTest, A257thEntryEmptiesTheIotlb) {
  Log log;
  log.boot().config_miss().miss_of(0);
  for (std::uint64_t page = 1; page < 256; ++page) {
    log.config_hit().miss_of(page << 12U);
  }
  Log wrong = log;
  log.config_hit().lookup(false, 0x10'0000).page_walk(0x10'0000);
  log.line("smmu_iotlb_inv_all IOTLB invalidate all");
  log.insert(0x10'0000).success(0x10'0000, 0x8010'0000).config_hit().miss_of(0x5000);
  const Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(tally(report, Check::kFlush).agree, 1U);
  wrong.config_hit().miss_of(0x10'0000);  // QEMU would have emptied it
  EXPECT_EQ(tally(replay(wrong.lines), Check::kFlush).miss, 1U);
}

TEST(LogReplayTest, WrongOnesAreFound) {
  const auto with = [](const auto& change) {
    Log log;
    log.boot().config_miss().miss_of(0x5000);
    change(log);
    return replay(log.lines);
  };
  Report r = with([](Log& log) { log.config_hit().lookup(false, 0x5000); });
  EXPECT_EQ(tally(r, Check::kIotlbLookup).miss, 1U);
  r = with([](Log& log) { log.hit_of(0x6000); });
  EXPECT_EQ(tally(r, Check::kIotlbLookup).miss, 1U);
  r = with([](Log& log) { log.config_hit().lookup(true, 0x5000).success(0x5000, 0x8000'6000); });
  EXPECT_EQ(tally(r, Check::kAddress).miss, 1U);
  EXPECT_EQ(first_miss(r), "physical address: 0x5000 -> 0x80006000 / 0x80005000");
  r = with([](Log& log) { log.config_hit().lookup(true, 0x5000).success(0x5000, 0x8000'5000, 1); });
  EXPECT_EQ(tally(r, Check::kPermission).miss, 1U);
  r = with([](Log& log) { log.config_miss(); });
  EXPECT_EQ(tally(r, Check::kConfigLookup).miss, 1U);
  r = with([](Log& log) { log.invalidate(0x5000, 1).hit_of(0x5000); });
  EXPECT_EQ(tally(r, Check::kIotlbLookup).miss, 1U);
  r = with([](Log& log) {
    log.line("smmuv3_cmdq_opcode <--- SMMU_CMD_CFGI_CD");
    log.line("smmuv3_cmdq_cfgi_cd sid=0x130").config_hit();
  });
  EXPECT_EQ(tally(r, Check::kConfigLookup).miss, 1U);
  r = with(
      [](Log& log) { log.config_hit().lookup(false, 0x7000).page_walk(0x7000).insert(0x7000, 2); });
  EXPECT_EQ(tally(r, Check::kLeaf).miss, 1U);
}

TEST(LogReplayTest, FaultsAreJudgedByTheirEvent) {
  const auto fault = [](std::uint64_t word, const char* event) {
    Log log;
    log.boot().config_miss().lookup(false, 0x5000).upper_levels(0x5000);
    log.pte(2, kL2, 0, 0x5000, word);
    log.line(
        fmt::format("smmu_ptw_invalid_pte stage=1 level=2 base@=0x40002000 pte@=0x40002000 "
                    "offset=0 pte={:#x}",
                    word));
    log.line(fmt::format("smmuv3_record_event SMMU_EVT_{} sid=0x130", event));
    return replay(log.lines);
  };
  EXPECT_EQ(tally(fault(0, "F_TRANSLATION"), Check::kFault).agree, 1U);
  EXPECT_EQ(tally(fault(0, "F_ACCESS"), Check::kFault).miss, 1U);
  EXPECT_EQ(tally(fault(0x8000'0000'0000 | 0xF45, "F_ADDR_SIZE"), Check::kFault).agree, 1U);
  EXPECT_EQ(tally(fault(0x9000'0000 | 0xFC5, "F_PERMISSION"), Check::kFault).agree, 1U);
}

TEST(LogReplayTest, BypassNeedsNoTable) {
  Log log;
  log.boot();
  log.line("smmuv3_config_cache_miss Config cache MISS for sid=0x8 (hits=0, misses=1, hit rate=0)");
  log.line("smmuv3_find_ste sid=0x8 features:0x0, sid_split:0x8");
  log.line("smmuv3_get_ste STE addr: 0x7ac60200");
  log.line("smmuv3_translate_bypass region sid=0x8 STE bypass iova=0x1000 is_write=1");
  const Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U);
  EXPECT_EQ(tally(report, Check::kBypass).agree, 1U);
  EXPECT_EQ(tally(report, Check::kConfigAddress).agree, 1U);
}

TEST(LogReplayTest, ThreadsInterleave) {
  Log first(1), second(2);
  first.boot().config_miss().miss_of(0x5000);
  const std::size_t common = first.lines.size();
  first.config_hit().lookup(false, 0x6000).page_walk(0x6000).insert(0x6000);
  first.success(0x6000, 0x8000'6000);
  second.hit_of(0x5000).hit_of(0x5000).hit_of(0x5000);
  std::vector<std::string> mixed(first.lines.begin(),
                                 first.lines.begin() + static_cast<std::ptrdiff_t>(common));
  for (std::size_t i = 0; common + i < first.lines.size() || i < second.lines.size(); ++i) {
    if (common + i < first.lines.size()) {
      mixed.push_back(first.lines[common + i]);
    }
    if (i < second.lines.size()) {
      mixed.push_back(second.lines[i]);
    }
  }
  const Report report = replay(mixed);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(report.translations, 5U);
  EXPECT_EQ(report.incomplete, 0U);
}

TEST(LogReplayTest, ALogThatBeginsLateAdoptsWhatWasThere) {
  Log log;
  log.hit_of(0x5000).hit_of(0x5000);  // entry and configuration were made before
  log.config_hit().miss_of(0x6000).hit_of(0x6000);
  Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(report.adopted_entries, 1U);
  log.boot().config_hit();  // but not after everything was emptied
  EXPECT_EQ(tally(replay(log.lines), Check::kConfigLookup).miss, 1U);
}

TEST(LogReplayTest, NoiseAndDamageAreCounted) {
  Log log;
  log.boot().config_miss().miss_of(0x5000);
  log.lines.emplace_back("[    1.234567] arm-smmu-v3 arm-smmu-v3.0.auto: ias 44-bit");
  log.lines.emplace_back("nvme_submit_cq something");
  log.lines.emplace_back("1@2.3:smmuv3_translate_success region sid=0x1");
  log.hit_of(0x5000);  // what was there is adopted again
  const Report report = replay(log.lines);
  EXPECT_EQ(report.missed(), 0U) << first_miss(report);
  EXPECT_EQ(report.noise, 2U);
  EXPECT_EQ(report.damaged, 1U);
  EXPECT_EQ(report.adopted_entries, 1U);
}

TEST(LogReplayTest, Stage2IsRefusedWithItsLine) {
  Log log;
  log.boot().config_miss();
  log.line(
      "smmu_ptw_page_pte stage=2 level=3 iova=0x0 base@=0x0 pte@=0x0 pte=0x3 page address = 0");
  try {
    (void)replay(log.lines);
    FAIL();
  } catch (const TraceError& error) {
    EXPECT_EQ(error.line(), 13U);
  }
}

TEST(LogEventTest, FieldsOfOlderAndNewerVersions) {
  LogEvent e = parse_log_line(
      "smmu_iotlb_lookup_hit IOTLB cache HIT asid=7 vmid=-1 addr=0x1000 "
      "hit=1 miss=2 hit rate=33");
  EXPECT_EQ(e.kind, LogKind::kIotlbHit);
  EXPECT_EQ(e.asid, 7U);
  EXPECT_EQ(e.vmid, 0U);
  e = parse_log_line(
      "17@5.000012:smmuv3_range_inval vmid=0 asid=-1 addr=0x2000 tg=1 "
      "num_pages=0x10 ttl=0 leaf=0 stage=1");
  EXPECT_EQ(e.kind, LogKind::kRangeInval);
  EXPECT_TRUE(e.flag);
  EXPECT_EQ(e.thread, 17U);
  EXPECT_EQ(e.time_us, 5'000'012U);
  EXPECT_EQ(parse_log_line("hello smmu world").kind, LogKind::kNoise);
  EXPECT_EQ(parse_log_line("1@2.3:smmuv3_read_mmio addr: 0x0").kind, LogKind::kOther);
  EXPECT_EQ(parse_log_line("1@2.3:smmu_get_pte baseaddr=0x4q").kind, LogKind::kDamaged);
}

}  // namespace
}  // namespace smmulab::workloads::qemu
