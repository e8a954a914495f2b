// SPDX-License-Identifier: Apache-2.0
// Long logs that were never recorded: eight devices, pages and blocks, every command of stage 1
// that QEMU logs, in the spelling of old and new versions. Nothing may miss; and a QEMU that is a
// little different must be found out.
#include <ctime>

#include <gtest/gtest.h>

#include "workloads/qemu_smmu/log_replay.hpp"
#include "workloads/qemu_smmu/synthetic_log_testing.hpp"

namespace smmulab::workloads::qemu {
namespace {

using testing::Spelling;
using testing::SyntheticLog;

struct Judged {
  Report report;
  double cpu_s = 0;  // of parsing and replaying alone
};

Judged judge(std::uint64_t seed, Spelling spelling, std::uint64_t translations,
             std::size_t iotlb_entries, SyntheticLog::Counts* counts = nullptr) {
  Judged judged;
  std::vector<std::string> batch;
  LogReplay replay("synthetic.log");
  std::uint64_t number = 0;
  const auto feed = [&] {
    const std::clock_t begin = std::clock();
    for (const std::string& line : batch) {
      replay.feed(parse_log_line(line), ++number);
    }
    judged.cpu_s += static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    batch.clear();
  };
  SyntheticLog log(
      seed, spelling,
      [&](const std::string& line) {
        batch.push_back(line);
        if (batch.size() == 65536) {
          feed();
        }
      },
      iotlb_entries);
  log.run(translations);
  feed();
  judged.report = replay.finish();
  if (counts != nullptr) {
    *counts = log.counts;
  }
  return judged;
}

class SyntheticLogTest : public ::testing::TestWithParam<Spelling> {};

TEST_P(SyntheticLogTest, TwoHundredThousandTranslationsOfEightDevicesAgree) {
  SyntheticLog::Counts log;
  const Judged judged = judge(11, GetParam(), 200'000, 256, &log);
  const Report& r = judged.report;
  for (const Miss& miss : r.misses) {
    ADD_FAILURE() << "line " << miss.line << ": " << check_name(miss.check) << ": " << miss.recorded
                  << " / " << miss.model;
  }
  EXPECT_EQ(r.missed(), 0U);
  EXPECT_EQ(r.damaged + r.incomplete + r.adopted_configs + r.adopted_entries, 0U);
  EXPECT_EQ(r.translations, log.translations);
  EXPECT_EQ(r.hits, log.hits);
  EXPECT_EQ(r.faults, log.faults);
  EXPECT_EQ(r.blocks, log.blocks);
  EXPECT_EQ(r.streams, 8U);
  // There is something to find in it.
  EXPECT_GT(log.hits, 50'000U);
  EXPECT_GT(log.flushes, 50U);
  EXPECT_GT(log.faults, 1000U);
  EXPECT_GT(log.blocks, 1000U);
  for (const char* command : {"CFGI_STE", "CFGI_STE_RANGE", "CFGI_CD", "CFGI_CD_ALL", "TLBI_NH_VA",
                              "TLBI_NH_VAA", "TLBI_NH_ASID", "TLBI_NH_ALL"}) {
    EXPECT_GT(log.commands[command], 10U) << command;
  }
  RecordProperty("replay_cpu_ms", static_cast<int>(judged.cpu_s * 1000));
  EXPECT_LT(judged.cpu_s, 30.0);
}

// Another size of IOTLB is not QEMU's: the comparison notices.
TEST_P(SyntheticLogTest, AnotherIotlbIsFoundOut) {
  EXPECT_GT(judge(5, GetParam(), 5000, 255).report.missed(), 0U);
  EXPECT_EQ(judge(5, GetParam(), 5000, 256).report.missed(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Spellings, SyntheticLogTest,
                         ::testing::Values(Spelling::kOld, Spelling::kNew),
                         [](const auto& spelling) {
                           return spelling.param == Spelling::kOld ? "Qemu72" : "Qemu9";
                         });

}  // namespace
}  // namespace smmulab::workloads::qemu
