// SPDX-License-Identifier: Apache-2.0
// Script: a protocol's operation written elsewhere than in C++ (in Python, or in a test): a
// resumable source of verbs. Each verb is carried out in simulated time; its result goes back into
// the script, which then says the next one. ScriptedProtocol (scripted.hpp) drives them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/iommufd/objects.hpp"

namespace smmulab::iommufd {

// What goes into a script and comes out of it: nothing, a number (0 or -errno, a count, a truth
// value), an object.
using ScriptValue = std::variant<std::monostate, std::int64_t, Device*, Hwpt*, Ioas*>;

struct Verb {
  enum class Kind : std::uint8_t { kAcquire, kTryAcquire, kRelease, kLook, kBlock };
  Kind kind = Kind::kBlock;
  std::string name;  // of the lock, by role ("igroup->lock"), or of the block
  LockMode mode = LockMode::kWrite;
  unsigned nesting = 0;           // lockdep subclass of an acquisition
  std::vector<ScriptValue> args;  // of a block; for a lock, the object whose lock it is
};

// The operations that a script may replace. IOMMU_HWPT_ALLOC and PASIDs are the base protocol's.
enum class ScriptOp : std::uint8_t {
  kAttach,
  kAttachIoas,
  kReplace,
  kReplaceIoas,
  kDetach,
  kHwptDestroy,
  kMsiPrepare,
};
inline constexpr std::array<std::string_view, 7> kScriptOps = {
    "attach", "attach_ioas", "replace", "replace_ioas", "detach", "hwpt_destroy", "msi_prepare"};
[[nodiscard]] constexpr std::string_view name_of(ScriptOp op) {
  return kScriptOps[static_cast<std::size_t>(op)];
}

// What a script does wrong: the driver adds protocol, operation, thread and time, and throws it on
// as a ConfigError.
class ScriptFailure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One operation under way.
class Script {
 public:
  virtual ~Script() = default;
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;

  // Goes on with the last verb's result (nothing at the start): true with the next verb; false at
  // the end, with the operation's result (nothing: 0). Throws ScriptFailure.
  virtual bool next(const ScriptValue& sent, Verb& verb, ScriptValue& result) = 0;
  // Where it stands, for errors: "file.py:12", or "".
  [[nodiscard]] virtual std::string where() const = 0;

 protected:
  Script() = default;
};

// A lock class that a script brings along: "OWNER->NAME"; every owner has one lock of it. Owners:
// "hwpt", "ioas", "igroup" (of a device), "context" (one lock in all).
struct ScriptLock {
  std::string name;
  lnx::LockKind kind;  // mutex or rwsem
};

// A protocol made of scripts, for one run.
class ScriptSource {
 public:
  virtual ~ScriptSource() = default;
  ScriptSource(const ScriptSource&) = delete;
  ScriptSource& operator=(const ScriptSource&) = delete;

  // False: the operation is the base protocol's.
  [[nodiscard]] virtual bool has(ScriptOp op) const = 0;
  // The operation's objects in the order of Protocol's parameters. Throws ScriptFailure.
  virtual std::unique_ptr<Script> start(ScriptOp op, const std::vector<ScriptValue>& args) = 0;

 protected:
  ScriptSource() = default;
};

}  // namespace smmulab::iommufd
