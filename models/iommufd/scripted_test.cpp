// SPDX-License-Identifier: Apache-2.0
// Scripted protocols without Python: scripts that are lists of verbs, or functions of what came
// back.
#include "models/iommufd/protocols/scripted.hpp"

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/iommufd/ioctl_testing.hpp"
#include "sim/error.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;
using Args = std::vector<ScriptValue>;

// Called with what the last verb gave; false: the end, with `result`.
using Step =
    std::function<bool(int step, const ScriptValue& sent, Verb& verb, ScriptValue& result)>;
using Operation = std::function<Step(const Args&)>;

class StepScript final : public Script {
 public:
  explicit StepScript(Step step) : step_(std::move(step)) {}
  bool next(const ScriptValue& sent, Verb& verb, ScriptValue& result) override {
    verb = {};
    return step_(number_++, sent, verb, result);
  }
  [[nodiscard]] std::string where() const override { return "step " + std::to_string(number_); }

 private:
  Step step_;
  int number_ = 0;
};

class StepSource final : public ScriptSource {
 public:
  explicit StepSource(std::map<ScriptOp, Operation> operations)
      : operations_(std::move(operations)) {}
  [[nodiscard]] bool has(ScriptOp op) const override { return operations_.contains(op); }
  std::unique_ptr<Script> start(ScriptOp op, const Args& args) override {
    return std::make_unique<StepScript>(operations_.at(op)(args));
  }

 private:
  std::map<ScriptOp, Operation> operations_;
};

Verb lock(Verb::Kind kind, std::string name, const ScriptValue& owner,
          LockMode mode = LockMode::kWrite) {
  return {kind, std::move(name), mode, 0, {owner}};
}
Verb block(std::string name, Args args) {
  return {Verb::Kind::kBlock, std::move(name), LockMode::kWrite, 0, std::move(args)};
}

// The verbs one after the other, then `result`, or what the last one gave.
Operation verbs(std::function<std::vector<Verb>(const Args&)> list,
                std::optional<ScriptValue> result = {}) {
  return [list = std::move(list), result](const Args& args) -> Step {
    return [all = list(args), result](int step, const ScriptValue& sent, Verb& verb,
                                      ScriptValue& out) {
      if (step == static_cast<int>(all.size())) {
        out = result ? *result : sent;
        return false;
      }
      verb = all[static_cast<std::size_t>(step)];
      return true;
    };
  };
}

class ScriptedTest : public IoctlTest {
 protected:
  void boot_scripted(std::map<ScriptOp, Operation> operations, std::vector<ScriptLock> locks = {},
                     std::string base = "igroup") {
    ScriptedInfo info{"scripted", "a test's", std::move(base), std::move(locks), {}};
    info.make = [operations = std::move(operations)](Context&, const Protocol&) {
      return std::make_unique<StepSource>(operations);
    };
    add_scripted_protocol("test:scripted", std::move(info));
    boot_with_ioas("test:scripted");
    ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  }
  // What attaching the first device to the first hwpt throws.
  std::string error_of_attach(Operation attach_script, std::vector<ScriptLock> locks = {}) {
    boot_scripted({{ScriptOp::kAttach, std::move(attach_script)}}, std::move(locks));
    try {
      attach(kDev, kHwpt);
    } catch (const std::exception& outer) {
      try {
        std::rethrow_if_nested(outer);
      } catch (const ConfigError& error) {
        return error.what();
      }
    }
    return "nothing was thrown";
  }
};

TEST_F(ScriptedTest, OperationsWithoutAScriptAreTheBases) {
  boot_scripted({});
  EXPECT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(replace(kDev, kOther), 0);
  EXPECT_EQ(detach(kDev), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(broken(), "");
}

TEST_F(ScriptedTest, VerbsAreCarriedOutAndResultsComeBack) {
  int attached = 1;
  boot_scripted({{ScriptOp::kAttach,
                  [&attached](const Args& a) -> Step {
                    return [a, &attached](int step, const ScriptValue& sent, Verb& verb,
                                          ScriptValue& result) {
                      if (step == 0) {
                        verb = lock(Verb::Kind::kAcquire, "hwpt->sem", a[1], LockMode::kRead);
                      } else if (step == 1) {
                        verb = block("base.attach", a);
                      } else if (step == 2) {
                        attached = static_cast<int>(std::get<std::int64_t>(sent));
                        verb = lock(Verb::Kind::kRelease, "hwpt->sem", a[1]);
                      } else {
                        result = std::int64_t{attached};
                        return false;
                      }
                      return true;
                    };
                  }}},
                {{"hwpt->sem", lnx::LockKind::kRwsem}});
  const SimTime before = engine.now();
  EXPECT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_GT(engine.now(), before);
  EXPECT_EQ(attached, 0);
  EXPECT_EQ(attach(kAlone, kUnknown), -ENOENT);
  EXPECT_EQ(machine().locks().get("hwpt->sem", lnx::LockKind::kRwsem).stat.read().acquisitions, 1U);
  EXPECT_EQ(broken(), "");
}

TEST_F(ScriptedTest, AnErrnoIsTheOperationsResult) {
  boot_scripted({{ScriptOp::kAttach, verbs([](const Args&) { return std::vector<Verb>{}; },
                                           ScriptValue{std::int64_t{-EBUSY}})}});
  EXPECT_EQ(attach(kDev, kHwpt), -EBUSY);
}

TEST_F(ScriptedTest, ATryTakesAFreeLock) {
  std::vector<std::int64_t> got;
  const auto once = [&got](const Args& a) -> Step {
    return [a, &got](int step, const ScriptValue& sent, Verb& verb, ScriptValue& /*result*/) {
      if (step == 0) {
        verb = lock(Verb::Kind::kTryAcquire, "context->sem", {}, LockMode::kRead);
      } else if (step == 1) {
        got.push_back(std::get<std::int64_t>(sent));
        verb = lock(Verb::Kind::kRelease, "context->sem", {});
      } else {
        return false;
      }
      return true;
    };
  };
  boot_scripted({{ScriptOp::kMsiPrepare, once}}, {{"context->sem", lnx::LockKind::kRwsem}});
  EXPECT_EQ(msi_prepare(kDev), 0);
  EXPECT_EQ(got, std::vector<std::int64_t>{1});
}

TEST_F(ScriptedTest, UnknownNamesHaveTheNearest) {
  const std::string of_lock = error_of_attach(verbs(
      [](const Args& a) { return std::vector{lock(Verb::Kind::kAcquire, "igroup->lok", a[0])}; }));
  EXPECT_NE(of_lock.find("unknown lock 'igroup->lok', did you mean 'igroup->lock'?"),
            std::string::npos)
      << of_lock;
  EXPECT_NE(of_lock.find("protocol scripted, attach by thread T at "), std::string::npos)
      << of_lock;
  EXPECT_NE(of_lock.find("(step 1)"), std::string::npos) << of_lock;
}

TEST_F(ScriptedTest, UnknownBlock) {
  const std::string text =
      error_of_attach(verbs([](const Args& a) { return std::vector{block("attach_grup", a)}; }));
  EXPECT_NE(text.find("unknown block 'attach_grup', did you mean 'attach_group'?"),
            std::string::npos)
      << text;
}

TEST_F(ScriptedTest, ABlocksArgumentsAreChecked) {
  const std::string text =
      error_of_attach(verbs([](const Args& a) { return std::vector{block("fill", {a[0]})}; }));
  EXPECT_NE(text.find("block 'fill' takes (hwpt)"), std::string::npos) << text;
}

TEST_F(ScriptedTest, StepsHaveTheirRange) {
  const std::string text = error_of_attach(verbs([](const Args& /*a*/) {
    return std::vector{block("list_step", {ScriptValue{std::int64_t{-1}}})};
  }));
  EXPECT_NE(text.find("list_step: expected 0 to 1000000 steps"), std::string::npos) << text;
}

TEST_F(ScriptedTest, AResultIsAnErrno) {
  const std::string text = error_of_attach(
      verbs([](const Args&) { return std::vector<Verb>{}; }, ScriptValue{std::int64_t{1}}));
  EXPECT_NE(text.find("gave 1 as its result; expected 0 or a negative errno"), std::string::npos)
      << text;
}

TEST_F(ScriptedTest, ALockKeptAtTheEnd) {
  const std::string text = error_of_attach(verbs(
      [](const Args& a) { return std::vector{lock(Verb::Kind::kAcquire, "igroup->lock", a[0])}; }));
  EXPECT_NE(text.find("ends with 'igroup->lock' held"), std::string::npos) << text;
}

TEST_F(ScriptedTest, ALockThatIsNotHeld) {
  const std::string text = error_of_attach(verbs([](const Args& a) {
    return std::vector{lock(Verb::Kind::kAcquire, "igroup->lock", a[0]),
                       lock(Verb::Kind::kRelease, "ioas->mutex", a[1])};
  }));
  EXPECT_NE(text.find("releases 'ioas->mutex', which this operation does not hold (it holds: "
                      "igroup->lock)"),
            std::string::npos)
      << text;
}

TEST_F(ScriptedTest, ALockOfTheWrongObject) {
  const std::string text = error_of_attach(verbs([](const Args& a) {
    return std::vector{lock(Verb::Kind::kAcquire, "hwpt->devices_lock", a[0])};
  }));
  EXPECT_NE(text.find("lock 'hwpt->devices_lock' needs an hwpt"), std::string::npos) << text;
}

TEST_F(ScriptedTest, AMutexHasNoReaders) {
  const std::string text = error_of_attach(verbs([](const Args& a) {
    return std::vector{lock(Verb::Kind::kAcquire, "igroup->lock", a[0], LockMode::kRead)};
  }));
  EXPECT_NE(text.find("is a mutex: it has no readers"), std::string::npos) << text;
}

TEST_F(ScriptedTest, FillingTwice) {
  const std::string text =
      error_of_attach(verbs([](const Args& a) { return std::vector{block("fill", {a[1]})}; }));
  EXPECT_NE(text.find("fill: hwpt 11 is filled already"), std::string::npos) << text;
}

TEST_F(ScriptedTest, WhatCannotBeAdded) {
  const auto add = [](const std::string& name, const std::string& base,
                      std::vector<ScriptLock> locks) -> std::string {
    try {
      add_scripted_protocol("test:refused", {name, "", base, std::move(locks), {}});
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "added";
  };
  using enum lnx::LockKind;
  EXPECT_EQ(add("igroup", "v6.2", {}), "protocol 'igroup': a built-in protocol has that name");
  EXPECT_NE(add("mine", "igrup", {}).find("unknown base protocol 'igrup', did you mean 'igroup'?"),
            std::string::npos);
  for (const ScriptLock& wrong : std::vector<ScriptLock>{
           {"sem", kRwsem}, {"hwpt->", kMutex}, {"ioas->mutex", kMutex}, {"hwpt->l", kSpinlock}}) {
    EXPECT_NE(add("mine", "igroup", {wrong}).find("expected a new name OWNER->NAME"),
              std::string::npos)
        << wrong.name;
  }
  EXPECT_THROW((void)find_protocol("test:refused"), ConfigError);
}

}  // namespace
}  // namespace smmulab::iommufd
