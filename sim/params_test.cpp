// SPDX-License-Identifier: Apache-2.0
#include "sim/params.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

using namespace std::string_literals;

enum class Preempt : std::uint8_t { kNone, kVoluntary, kFull };

struct Sample {
  Ps mutex_lock{15_ns};
  Ps skew{0};
  std::uint32_t entries = 64;
  bool spin = true;
  Preempt preempt = Preempt::kVoluntary;
};

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

class ParamTableTest : public testing::Test {
 protected:
  ParamTableTest() {
    table_.add("lock.mutex_lock", &sample_.mutex_lock, 0_ns, 1_ms, "fast path", {"measured: x"});
    table_.add("clock.skew", &sample_.skew, -(2_us), 2_us, "offset", {"assumed"});
    table_.add("tlb.entries", &sample_.entries, 1, 4096, "entries", {"manual"});
    table_.add("lock.spin", &sample_.spin, "spin on owner", {"kernel 6.12"});
    table_.add_enum("sched.preempt", &sample_.preempt, {"none", "voluntary", "full"}, "preemption",
                    {"assumed: distribution default"});
  }
  ~ParamTableTest() override { std::filesystem::remove(path_); }

  void load(const std::string& text, const std::vector<std::string>& ignored = {}) {
    std::ofstream(path_, std::ios::binary) << text;
    table_.load_toml_file(path_, ignored);
  }
  std::string load_error(const std::string& text, const std::vector<std::string>& ignored = {}) {
    const std::string message = error_of([&] { load(text, ignored); });
    return message.starts_with(path_) ? message.substr(path_.size()) : message;
  }
  std::string set_error(std::string_view key, std::string_view value) {
    return error_of([&] { table_.set(key, value); });
  }

  std::string path_ = testing::TempDir() + "smmulab_params_" +
                      testing::UnitTest::GetInstance()->current_test_info()->name() + ".toml";
  Sample sample_;
  ParamTable table_;
};

TEST(ParseDuration, IsExact) {
  EXPECT_EQ(parse_duration("15ns"), 15_ns);
  EXPECT_EQ(parse_duration("1.5us"), Ps{1'500'000});
  EXPECT_EQ(parse_duration("250ps"), Ps{250});
  EXPECT_EQ(parse_duration("4ms"), 4_ms);
  EXPECT_EQ(parse_duration("1s"), 1000_ms);
  EXPECT_EQ(parse_duration("0"), Ps{0});
  EXPECT_EQ(parse_duration("0ms"), Ps{0});
  EXPECT_EQ(parse_duration("007ns"), 7_ns);
  EXPECT_EQ(parse_duration("-2.25ns"), Ps{-2250});
  EXPECT_EQ(parse_duration("0.1s"), 100_ms);                   // 0.1 has no double
  EXPECT_EQ(parse_duration("1.500000000000000ns"), Ps{1500});  // zeros add nothing
  EXPECT_EQ(parse_duration("1.0ps"), Ps{1});
  EXPECT_EQ(parse_duration("9223372.036854775807s"), Ps::max());
  EXPECT_EQ(parse_duration("9007199254740993ps"), Ps{9'007'199'254'740'993});  // 2^53 + 1
}

TEST(ParseDuration, RejectsTheRest) {
  for (const std::string text :
       {"",          "-",       "ns",    "15",    "-0",    "1.5",     "15 ns", " 15ns",
        "15ns ",     "+1ns",    ".5us",  "1.us",  "1e3ns", "1_000ns", "15NS",  "1m",
        "15\u00b5s", "1.2.3ns", "--1ns", "0x1ns", "nan",   "15nss",   "0.0"}) {
    const std::string message = error_of([&] { (void)parse_duration(text); });
    EXPECT_TRUE(message.starts_with("'" + text + "' ")) << text << " -> " << message;
    EXPECT_NE(message.find("such as 15ns"), std::string::npos) << text << " -> " << message;
  }
  for (const std::string text : {"0.5ps", "0.0001ns", "1.0000000000001s"}) {
    EXPECT_EQ(error_of([&] { (void)parse_duration(text); }),
              "'" + text + "' is finer than 1 ps, the resolution of simulated time");
  }
  for (const std::string text :
       {"9223372.036854775808s", "9223372036854775808ps", "99999999999s"}) {
    EXPECT_EQ(error_of([&] { (void)parse_duration(text); }),
              "'" + text + "' is too long: simulated time ends after 9223372s (106 days)");
  }
}

TEST(FormatDuration, UsesTheLargestExactUnit) {
  EXPECT_EQ(format_duration(Ps{0}), "0ps");
  EXPECT_EQ(format_duration(15_ns), "15ns");
  EXPECT_EQ(format_duration(Ps{1'500'000}), "1.5us");
  EXPECT_EQ(format_duration(Ps{250}), "250ps");
  EXPECT_EQ(format_duration(4_ms), "4ms");
  EXPECT_EQ(format_duration(1000_ms), "1s");
  EXPECT_EQ(format_duration(Ps{1'234'567}), "1234.567ns");
  EXPECT_EQ(format_duration(Ps{1'050'000}), "1.05us");
  EXPECT_EQ(format_duration(Ps{-2'250}), "-2.25ns");
  EXPECT_EQ(format_duration(Ps::max()), "9223372036854775.807ns");
  EXPECT_EQ(format_duration(Ps::min()), "-9223372036854775.808ns");
}

TEST(FormatDuration, IsReadBack) {
  std::uint64_t x = 1;
  for (int i = 0; i < 2000; ++i) {
    x = x * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    const Ps value{static_cast<std::int64_t>(x) >> (x % 61)};
    EXPECT_EQ(parse_duration(format_duration(value)), value);
  }
}

TEST(NearestName, FindsTypingMistakes) {
  const std::vector<std::string> names{"lock.mutex_lock", "lock.mutex_unlock", "tlb.entries"};
  EXPECT_EQ(nearest_name("lock.mutex_lokc", names), "lock.mutex_lock");       // swapped
  EXPECT_EQ(nearest_name("lock.mutexlock", names), "lock.mutex_lock");        // left out
  EXPECT_EQ(nearest_name("locks.mutex_unlock", names), "lock.mutex_unlock");  // added
  EXPECT_EQ(nearest_name("tlb.entrees", names), "tlb.entries");               // replaced
  EXPECT_EQ(nearest_name("tlb.entries", names), "tlb.entries");
  EXPECT_EQ(nearest_name("pcie.width", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name("x", {}), "");
}

TEST(NearestName, KeepsItsThreshold) {
  EXPECT_EQ(nearest_name("abcd", {"abxy"}), "abxy");  // max(2, 4 / 3) edits
  EXPECT_EQ(nearest_name("abcd", {"axyz"}), "");
  EXPECT_EQ(nearest_name("abcdefghi", {"abcdefxyz"}), "abcdefxyz");  // 9 / 3
  EXPECT_EQ(nearest_name("abcdefghi", {"abcdewxyz"}), "");
  EXPECT_EQ(nearest_name("ab", {"cd"}), "");              // nothing shared
  EXPECT_EQ(nearest_name("cat", {"bat", "hat"}), "bat");  // the first of equals
  EXPECT_EQ(nearest_name("cat", {"bats", "hat"}), "hat");
}

TEST_F(ParamTableTest, DescribesInTheOrderOfAddition) {
  const std::vector<ParamInfo> infos = table_.describe();
  ASSERT_EQ(infos.size(), 5U);
  EXPECT_EQ(infos[0].key, "lock.mutex_lock");
  EXPECT_EQ(infos[0].unit, "ps");
  EXPECT_EQ(infos[0].doc, "fast path");
  EXPECT_EQ(infos[0].provenance, "measured: x");
  EXPECT_EQ(infos[0].default_value, "15ns");
  EXPECT_EQ(infos[0].minimum, "0ps");
  EXPECT_EQ(infos[0].maximum, "1ms");
  EXPECT_EQ(infos[1].minimum, "-2us");
  EXPECT_EQ(infos[2].unit, "1");
  EXPECT_EQ(infos[2].default_value, "64");
  EXPECT_EQ(infos[3].unit, "bool");
  EXPECT_EQ(infos[3].default_value, "true");
  EXPECT_EQ(infos[4].unit, "enum");
  EXPECT_EQ(infos[4].default_value, "voluntary");
  EXPECT_EQ(infos[4].maximum, "none|voluntary|full");
  EXPECT_TRUE(Provenance{infos[4].provenance}.assumed());
  EXPECT_FALSE(Provenance{infos[0].provenance}.assumed());
}

TEST_F(ParamTableTest, SetReachesTheFieldAndGetReadsIt) {
  table_.set("lock.mutex_lock", "1.5us");
  table_.set("clock.skew", "-250ps");
  table_.set("tlb.entries", "4096");
  table_.set("lock.spin", "false");
  table_.set("sched.preempt", "full");
  EXPECT_EQ(sample_.mutex_lock, Ps{1'500'000});
  EXPECT_EQ(sample_.skew, Ps{-250});
  EXPECT_EQ(sample_.entries, 4096U);
  EXPECT_FALSE(sample_.spin);
  EXPECT_EQ(sample_.preempt, Preempt::kFull);
  EXPECT_EQ(table_.get("lock.mutex_lock"), "1.5us");
  EXPECT_EQ(table_.get("clock.skew"), "-250ps");
  EXPECT_EQ(table_.get("tlb.entries"), "4096");
  EXPECT_EQ(table_.get("lock.spin"), "false");
  EXPECT_EQ(table_.get("sched.preempt"), "full");
  EXPECT_EQ(table_.describe()[0].default_value, "15ns");  // the default stays
}

TEST_F(ParamTableTest, BoundsAreInclusive) {
  table_.set("lock.mutex_lock", "0");
  table_.set("lock.mutex_lock", "1ms");
  table_.set("tlb.entries", "1");
  EXPECT_EQ(set_error("lock.mutex_lock", "1000000.001ns"),
            "parameter 'lock.mutex_lock': '1000000.001ns' is out of range: "
            "expected a duration from 0ps to 1ms");
  EXPECT_EQ(set_error("lock.mutex_lock", "-1ps"),
            "parameter 'lock.mutex_lock': '-1ps' is out of range: "
            "expected a duration from 0ps to 1ms");
  for (const std::string text :
       {"0", "4097", "-1", "4294967297", "99999999999999999999", "-99999999999999999999"}) {
    EXPECT_EQ(set_error("tlb.entries", text),
              "parameter 'tlb.entries': '" + text +
                  "' is out of range: expected a count (an integer) from 1 to 4096");
  }
  EXPECT_EQ(table_.get("lock.mutex_lock"), "1ms");
  EXPECT_EQ(table_.get("tlb.entries"), "1");
}

TEST_F(ParamTableTest, SaysWhatAValueShouldBe) {
  EXPECT_EQ(
      set_error("lock.mutex_lock", "15"),
      "parameter 'lock.mutex_lock': '15' has no unit: expected a number with ps, ns, us, ms or "
      "s, such as 15ns or 1.5us");
  for (const std::string text : {"", "abc", "6 4", "64 ", "0x40", "1.0", "+5"}) {
    EXPECT_EQ(
        set_error("tlb.entries", text),
        "parameter 'tlb.entries': '" + text + "' is no count: expected an integer from 1 to 4096");
  }
  EXPECT_EQ(set_error("lock.spin", "yes"),
            "parameter 'lock.spin': 'yes' is no truth value: expected true or false");
  EXPECT_EQ(set_error("sched.preempt", "ful"),
            "parameter 'sched.preempt': 'ful' is no value of it: expected one of "
            "none|voluntary|full; did you mean 'full'?");
  EXPECT_EQ(set_error("sched.preempt", ""),
            "parameter 'sched.preempt': '' is no value of it: expected one of none|voluntary|full");
}

TEST_F(ParamTableTest, UnknownKeyNamesTheNearest) {
  EXPECT_EQ(set_error("lock.mutex_lokc", "1ns"),
            "unknown parameter 'lock.mutex_lokc'; did you mean 'lock.mutex_lock'?");
  EXPECT_EQ(set_error("mutex_lock", "1ns"),
            "unknown parameter 'mutex_lock'; did you mean 'lock.mutex_lock'?");
  EXPECT_EQ(set_error("pcie.generation", "4"), "unknown parameter 'pcie.generation'");
  EXPECT_EQ(set_error("", "4"), "unknown parameter ''");
  EXPECT_THROW((void)table_.get("tlb.entry"), ConfigError);
  EXPECT_TRUE(table_.contains("tlb.entries"));
  EXPECT_FALSE(table_.contains("tlb"));
}

TEST_F(ParamTableTest, RefusesWhatNoFileCouldSay) {
  EXPECT_THROW(table_.add("tlb.entries", &sample_.entries, 1, 2, "", {""}), ModelError);
  EXPECT_THROW(table_.add("", &sample_.spin, "", {""}), ModelError);
  EXPECT_THROW(table_.add("a", &sample_.entries, 65, 70, "", {""}), ModelError);
  EXPECT_THROW(table_.add("a", &sample_.mutex_lock, 16_ns, 20_ns, "", {""}), ModelError);
  EXPECT_THROW(table_.add_enum("a", &sample_.preempt, {"none"}, "", {""}), ModelError);
  EXPECT_EQ(table_.describe().size(), 5U);
}

TEST_F(ParamTableTest, WritesCanonicalJson) {
  EXPECT_EQ(table_.to_json(), R"({"clock.skew":"0ps","lock.mutex_lock":"15ns","lock.spin":true,)"
                              R"("sched.preempt":"voluntary","tlb.entries":64})");
  EXPECT_EQ(ParamTable().to_json(), "{}");
}

TEST_F(ParamTableTest, LoadsTablesAndDottedKeys) {
  load(
      "# comment\n"
      "sched.preempt = \"none\"\n"
      "\"clock.skew\" = \"-1ns\"\n"
      "tlb = { entries = 0x80 }\n"
      "[lock]\n"
      "mutex_lock = \"1.5us\"\n"
      "spin = false\n");
  EXPECT_EQ(table_.to_json(), R"({"clock.skew":"-1ns","lock.mutex_lock":"1.5us","lock.spin":false,)"
                              R"("sched.preempt":"none","tlb.entries":128})");
  load("[lock]\nmutex_lock = 0\n[clock]\n");  // 0 needs no unit; a known table may be empty
  EXPECT_EQ(table_.get("lock.mutex_lock"), "0ps");
  EXPECT_EQ(table_.get("tlb.entries"), "128");
  load("");
}

TEST_F(ParamTableTest, LeavesIgnoredTablesAlone) {
  load(
      "run = 3\n[machine]\ncpus = 64\n[machine.deep]\nx = 1\n[[device]]\nname = 1\n"
      "[lock.extra]\ny = 2\n[lock]\nmutex_lock = \"2ns\"\n",
      {"machine", "device", "run", "lock.extra"});
  EXPECT_EQ(table_.get("lock.mutex_lock"), "2ns");
  EXPECT_EQ(load_error("[machines]\ncpus = 64\n", {"machine"}),
            ":2:1: unknown parameter 'machines.cpus'; there is a table 'machine'");
  EXPECT_EQ(load_error("[machinery]\ncpus = 64\n", {"pcie"}),
            ":2:1: unknown parameter 'machinery.cpus'");
}

TEST_F(ParamTableTest, TomlErrorsHaveAPlace) {
  EXPECT_EQ(load_error("[lock]\nspin = true\n  mutex_lokc = \"1ns\"\n"),
            ":3:3: unknown parameter 'lock.mutex_lokc'; did you mean 'lock.mutex_lock'?");
  EXPECT_EQ(load_error("[lokc]\nmutex_lock = \"1ns\"\n"),
            ":2:1: unknown parameter 'lokc.mutex_lock'; did you mean 'lock.mutex_lock'?");
  EXPECT_EQ(load_error("[lokc]\n"), ":1:2: unknown parameter 'lokc'");
  EXPECT_EQ(load_error("[lock]\nmutex_lock = \"5s\"\n"),
            ":2:14: parameter 'lock.mutex_lock': '5s' is out of range: "
            "expected a duration from 0ps to 1ms");
  EXPECT_EQ(load_error("tlb.entries = -7"),
            ":1:15: parameter 'tlb.entries': '-7' is out of range: "
            "expected a count (an integer) from 1 to 4096");
  EXPECT_EQ(load_error("\"lock.spin\" = true\n[lock]\nspin = false"),
            ":3:1: parameter 'lock.spin' is set twice: before at line 1");
}

TEST_F(ParamTableTest, TomlErrorsNameTheExpectedType) {
  const std::string duration =
      "parameter 'lock.mutex_lock': expected a duration as a string with a unit, such as \"15ns\", "
      "got ";
  EXPECT_EQ(load_error("lock.mutex_lock = 15"), ":1:19: " + duration + "the integer 15");
  EXPECT_EQ(load_error("lock.mutex_lock = 0.0"), ":1:19: " + duration + "the float 0");
  EXPECT_EQ(load_error("lock.mutex_lock = [1]"), ":1:19: " + duration + "an array");
  EXPECT_EQ(load_error("[lock.mutex_lock]\nx = 1"), ":1:1: " + duration + "a table");
  EXPECT_EQ(load_error("lock.mutex_lock = 2024-01-01"), ":1:19: " + duration + "a date or time");
  EXPECT_EQ(load_error("tlb.entries = \"64\""),
            ":1:15: parameter 'tlb.entries': expected a count (an integer), got the string \"64\"");
  EXPECT_EQ(load_error("tlb.entries = 64.0"),
            ":1:15: parameter 'tlb.entries': expected a count (an integer), got the float 64");
  EXPECT_EQ(load_error("lock.spin = 1"),
            ":1:13: parameter 'lock.spin': expected true or false, got the integer 1");
  EXPECT_EQ(load_error("sched.preempt = true"),
            ":1:17: parameter 'sched.preempt': expected a name as a string, one of "
            "none|voluntary|full, got the boolean true");
  EXPECT_EQ(load_error("lock = 3"), ":1:1: 'lock' is a table of parameters, got the integer 3");
}

TEST_F(ParamTableTest, TheFirstMistakeOfAFileIsReportedAndNothingIsSet) {
  const std::string before = table_.to_json();
  EXPECT_EQ(load_error("[tlb]\nentries = 128\nzzz_unknown = 1\n[lock]\nspin = 1\n"),
            ":3:1: unknown parameter 'tlb.zzz_unknown'");
  EXPECT_EQ(table_.to_json(), before);
}

TEST_F(ParamTableTest, MalformedTomlAndUnreadableFiles) {
  const std::string message = load_error("[lock]\nspin = maybe\n");
  EXPECT_TRUE(message.starts_with(":2:8: ")) << message;
  EXPECT_TRUE(load_error("[lock\n").starts_with(":1:6: ")) << load_error("[lock\n");
  EXPECT_TRUE(load_error("a = 1\na = 2\n").starts_with(":2:")) << load_error("a = 1\na = 2\n");
  const std::string missing = path_ + ".missing";
  EXPECT_EQ(error_of([&] { table_.load_toml_file(missing); }),
            missing + ": cannot be read: No such file or directory");
  const std::string folder = testing::TempDir();
  EXPECT_EQ(error_of([&] { table_.load_toml_file(folder); }),
            folder + ": cannot be read: Is a directory");
}

}  // namespace
}  // namespace smmulab
