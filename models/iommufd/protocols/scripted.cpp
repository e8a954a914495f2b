// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/scripted.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/error.hpp"

namespace smmulab::iommufd {
namespace {

using lnx::LockKind;

constexpr std::int64_t kMaxErrno = 4095;

constexpr std::array<std::string_view, 4> kBuiltinLocks = {"igroup->lock", "ioas->mutex",
                                                           "hwpt->devices_lock", "group->mutex"};

std::string_view owner_of(std::string_view lock) {
  return lock.substr(0, lock.find("->"));
}

ScriptFailure unknown(std::string_view what, std::string_view name,
                      const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return ScriptFailure(fmt::format("unknown {} '{}'{}; known: {}", what, name,
                                   near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                   fmt::join(known, ", ")));
}

template <class T>
T* as(const ScriptValue& value) {
  T* const* pointer = std::get_if<T*>(&value);
  return pointer == nullptr ? nullptr : *pointer;
}

IommufdGroup* igroup_of(const ScriptValue& value) {
  const Device* device = as<Device>(value);
  return device == nullptr ? nullptr : device->igroup;
}
Ioas* ioas_of(const ScriptValue& value) {
  const Hwpt* hwpt = as<Hwpt>(value);
  return hwpt != nullptr ? hwpt->ioas : as<Ioas>(value);
}

bool fits(char letter, const ScriptValue& value) {
  switch (letter) {
    case 'd':
      return as<Device>(value) != nullptr;
    case 'h':
      return as<Hwpt>(value) != nullptr;
    case 'H':
      return as<Hwpt>(value) != nullptr || std::holds_alternative<std::monostate>(value);
    case 'i':
      return as<Ioas>(value) != nullptr;
    case 'o':
      return as<Ioas>(value) != nullptr || as<Hwpt>(value) != nullptr;
    default:
      return std::holds_alternative<std::int64_t>(value);
  }
}

std::string_view argument_name(char letter) {
  switch (letter) {
    case 'd':
      return "device";
    case 'h':
      return "hwpt";
    case 'H':
      return "hwpt or None";
    case 'i':
      return "ioas";
    case 'o':
      return "hwpt or ioas";
    default:
      return "number";
  }
}

}  // namespace

ScriptedProtocol::ScriptedProtocol(Context& context, const ProtocolParams& params,
                                   const ScriptedInfo& info)
    : Protocol(context),
      info_(info),
      base_(find_protocol(info.base).make(context, params)),
      igroup_(context, params) {
  add_locks_of("context", context_locks_);
  source_ = info.make(context, *base_);
}

std::unique_ptr<lnx::LockBase> ScriptedProtocol::make_lock(const ScriptLock& lock) const {
  lnx::LockClass& cls = machine().locks().get(lock.name, lock.kind);
  if (lock.kind == LockKind::kRwsem) {
    return std::make_unique<lnx::Rwsem>(machine(), cls);
  }
  return std::make_unique<lnx::Mutex>(machine(), cls);
}

void ScriptedProtocol::add_locks_of(std::string_view owner,
                                    std::vector<std::unique_ptr<lnx::LockBase>>& to) const {
  for (const ScriptLock& lock : info_.locks) {
    if (owner_of(lock.name) == owner) {
      to.push_back(make_lock(lock));
    }
  }
}

lnx::LockBase* ScriptedProtocol::own_lock(const std::string& name, const ScriptValue& owner) const {
  const std::string_view of = owner_of(name);
  const std::vector<std::unique_ptr<lnx::LockBase>>* locks = nullptr;
  if (of == "hwpt") {
    const Hwpt* hwpt = as<Hwpt>(owner);
    locks = hwpt != nullptr ? &hwpt->script_locks : nullptr;
  } else if (of == "ioas") {
    const Ioas* ioas = ioas_of(owner);
    locks = ioas != nullptr ? &ioas->script_locks : nullptr;
  } else if (of == "igroup") {
    const IommufdGroup* igroup = igroup_of(owner);
    locks = igroup != nullptr ? &igroup->script_locks : nullptr;
  } else {
    locks = &context_locks_;
  }
  if (locks == nullptr) {
    return nullptr;
  }
  const auto at = std::ranges::find(
      *locks, name, [](const auto& lock) -> const std::string& { return lock->lock_class().name; });
  return at == locks->end() ? nullptr : at->get();
}

lnx::LockBase& ScriptedProtocol::lock_of(const Verb& verb) const {
  const ScriptValue owner = verb.args.empty() ? ScriptValue{} : verb.args.front();
  lnx::LockBase* lock = nullptr;
  std::string_view wants;
  if (verb.name == "igroup->lock") {
    wants = "a bound device";
    IommufdGroup* igroup = igroup_of(owner);
    lock = igroup == nullptr ? nullptr : &igroup->lock;
  } else if (verb.name == "ioas->mutex") {
    wants = "an ioas, or an hwpt of one";
    Ioas* ioas = ioas_of(owner);
    lock = ioas == nullptr ? nullptr : &ioas->mutex;
  } else if (verb.name == "hwpt->devices_lock") {
    wants = "an hwpt";
    Hwpt* hwpt = as<Hwpt>(owner);
    lock = hwpt == nullptr ? nullptr : &hwpt->devices_lock;
  } else if (verb.name == "group->mutex") {
    wants = "a device";
    const Device* device = as<Device>(owner);
    lock = device == nullptr ? nullptr : &device->group->mutex;
  } else if (std::ranges::find(info_.locks, verb.name, &ScriptLock::name) != info_.locks.end()) {
    wants = "its owner: an hwpt, an ioas or a bound device, as its name begins";
    lock = own_lock(verb.name, owner);
  } else {
    std::vector<std::string> known(kBuiltinLocks.begin(), kBuiltinLocks.end());
    for (const ScriptLock& own : info_.locks) {
      known.push_back(own.name);
    }
    throw unknown("lock", verb.name, known);
  }
  if (lock == nullptr) {
    throw ScriptFailure(fmt::format("lock '{}' needs {}", verb.name, wants));
  }
  return *lock;
}

Task<ScriptValue> ScriptedProtocol::acquire(lnx::Thread& t, const Verb& verb,
                                            std::vector<Held>& held) {
  lnx::LockBase& lock = lock_of(verb);
  auto* rwsem = dynamic_cast<lnx::Rwsem*>(&lock);
  if (rwsem == nullptr && verb.mode == LockMode::kRead) {
    throw ScriptFailure(fmt::format("lock '{}' is a mutex: it has no readers", verb.name));
  }
  bool taken = true;
  if (verb.kind == Verb::Kind::kTryAcquire) {
    if (verb.mode != LockMode::kRead) {
      throw ScriptFailure("try_acquire is for readers of an rwsem");
    }
    co_await t.run();
    taken = rwsem->try_read_lock(t, verb.nesting);
  } else if (rwsem == nullptr) {
    co_await dynamic_cast<lnx::Mutex&>(lock).lock(t, verb.nesting);
  } else if (verb.mode == LockMode::kRead) {
    co_await rwsem->read_lock(t, verb.nesting);
  } else {
    co_await rwsem->write_lock(t, verb.nesting);
  }
  if (taken) {
    held.push_back({&lock, verb.name, verb.mode});
  }
  co_return std::int64_t{taken ? 1 : 0};
}

Task<void> ScriptedProtocol::release(lnx::Thread& t, const Verb& verb, std::vector<Held>& held) {
  lnx::LockBase& lock = lock_of(verb);
  const auto at = std::ranges::find(held, &lock, &Held::lock);
  if (at == held.end()) {
    std::vector<std::string> names;
    for (const Held& each : held) {
      names.push_back(each.name);
    }
    throw ScriptFailure(
        fmt::format("releases '{}', which this operation does not hold (it holds: {})", verb.name,
                    names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));
  }
  const LockMode mode = at->mode;
  held.erase(at);
  if (auto* rwsem = dynamic_cast<lnx::Rwsem*>(&lock); rwsem == nullptr) {
    co_await dynamic_cast<lnx::Mutex&>(lock).unlock(t);
  } else if (mode == LockMode::kRead) {
    co_await rwsem->read_unlock(t);
  } else {
    co_await rwsem->write_unlock(t);
  }
}

Task<ScriptValue> ScriptedProtocol::run_block(lnx::Thread& t, const Verb& verb) {
  const auto& all = blocks();
  const auto at =
      std::ranges::find(all, verb.name, [](const BlockEntry& e) { return e.block.name; });
  if (at == all.end()) {
    std::vector<std::string> known;
    for (const BlockEntry& entry : all) {
      known.emplace_back(entry.block.name);
    }
    throw unknown("block", verb.name, known);
  }
  const std::string_view letters = at->block.args;
  bool fit = letters.size() == verb.args.size();
  for (std::size_t i = 0; fit && i < letters.size(); ++i) {
    fit = fits(letters[i], verb.args[i]);
  }
  if (!fit) {
    std::vector<std::string_view> wanted;
    for (const char letter : letters) {
      wanted.push_back(argument_name(letter));
    }
    throw ScriptFailure(fmt::format("block '{}' takes ({})", verb.name, fmt::join(wanted, ", ")));
  }
  return at->run(*this, t, verb.args);
}

Task<ScriptValue> ScriptedProtocol::perform(lnx::Thread& t, const Verb& verb,
                                            std::vector<Held>& held) {
  switch (verb.kind) {
    case Verb::Kind::kAcquire:
    case Verb::Kind::kTryAcquire:
      co_return co_await acquire(t, verb, held);
    case Verb::Kind::kRelease:
      co_await release(t, verb, held);
      break;
    case Verb::Kind::kLook:
      co_await t.access(lock_of(verb),
                        verb.mode == LockMode::kRead ? lnx::Access::kRead : lnx::Access::kWrite);
      break;
    case Verb::Kind::kBlock:
      co_return co_await run_block(t, verb);
  }
  co_return ScriptValue{};
}

Task<int> ScriptedProtocol::drive(lnx::Thread& t, ScriptOp op, Args args) {
  std::unique_ptr<Script> script;
  std::vector<Held> held;
  ScriptValue result;
  try {
    script = source_->start(op, args);
    ScriptValue sent;
    Verb verb;
    while (script->next(sent, verb, result)) {
      sent = co_await perform(t, verb, held);
    }
    if (!held.empty()) {
      throw ScriptFailure(fmt::format("ends with '{}' held", held.back().name));
    }
    if (as<Device>(result) != nullptr || ioas_of(result) != nullptr) {
      throw ScriptFailure("gave an object as its result; expected 0 or a negative errno");
    }
    if (const auto* number = std::get_if<std::int64_t>(&result);
        number != nullptr && (*number > 0 || *number < -kMaxErrno)) {
      throw ScriptFailure(
          fmt::format("gave {} as its result; expected 0 or a negative errno", *number));
    }
  } catch (const ScriptFailure& failure) {
    const std::string where = script == nullptr ? "" : script->where();
    throw ConfigError(fmt::format("protocol {}, {} by thread {} at {} ps{}: {}", info_.name,
                                  name_of(op), t.name(), to_ps(machine().engine().now()),
                                  where.empty() ? "" : fmt::format(" ({})", where),
                                  failure.what()));
  }
  const std::int64_t* rc = std::get_if<std::int64_t>(&result);
  co_return rc == nullptr ? 0 : static_cast<int>(*rc);  // in the range checked above
}

Task<void> ScriptedProtocol::hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) {
  if (!source_->has(ScriptOp::kHwptDestroy)) {
    co_await base_->hwpt_destroy(t, hwpt);
    co_return;
  }
  Args args;
  args.emplace_back(&hwpt);
  co_await drive(t, ScriptOp::kHwptDestroy, std::move(args));
}

Task<int> ScriptedProtocol::attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  return source_->has(ScriptOp::kAttach) ? drive(t, ScriptOp::kAttach, {&device, &hwpt})
                                         : base_->attach(t, device, hwpt);
}

Task<int> ScriptedProtocol::attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  return source_->has(ScriptOp::kAttachIoas) ? drive(t, ScriptOp::kAttachIoas, {&device, &ioas})
                                             : base_->attach_ioas(t, device, ioas);
}

Task<int> ScriptedProtocol::replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  return source_->has(ScriptOp::kReplace) ? drive(t, ScriptOp::kReplace, {&device, &hwpt})
                                          : base_->replace(t, device, hwpt);
}

Task<int> ScriptedProtocol::replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  return source_->has(ScriptOp::kReplaceIoas) ? drive(t, ScriptOp::kReplaceIoas, {&device, &ioas})
                                              : base_->replace_ioas(t, device, ioas);
}

Task<void> ScriptedProtocol::detach(lnx::Thread& t, Device& device) {
  if (!source_->has(ScriptOp::kDetach)) {
    co_await base_->detach(t, device);
    co_return;
  }
  Args args;
  args.emplace_back(&device);
  co_await drive(t, ScriptOp::kDetach, std::move(args));
}

Task<int> ScriptedProtocol::msi_prepare(lnx::Thread& t, Device& device) {
  return source_->has(ScriptOp::kMsiPrepare) ? drive(t, ScriptOp::kMsiPrepare, {&device})
                                             : base_->msi_prepare(t, device);
}

void add_scripted_protocol(const std::string& key, ScriptedInfo info) {
  std::vector<std::string> builtins;
  for (const ProtocolInfo& builtin : protocols()) {
    builtins.emplace_back(builtin.name);
  }
  if (std::ranges::find(builtins, info.name) != builtins.end()) {
    throw ConfigError(fmt::format("protocol '{}': a built-in protocol has that name", info.name));
  }
  if (std::ranges::find(builtins, info.base) == builtins.end()) {
    throw ConfigError(fmt::format("protocol '{}': {}", info.name,
                                  unknown("base protocol", info.base, builtins).what()));
  }
  constexpr std::array<std::string_view, 4> kOwners = {"hwpt", "ioas", "igroup", "context"};
  for (std::size_t i = 0; i < info.locks.size(); ++i) {
    const std::string& name = info.locks[i].name;
    const bool owned = std::ranges::find(kOwners, owner_of(name)) != kOwners.end() &&
                       name.size() > owner_of(name).size() + 2;
    const bool taken =
        std::ranges::find(kBuiltinLocks, name) != kBuiltinLocks.end() ||
        std::any_of(info.locks.begin(), info.locks.begin() + static_cast<std::ptrdiff_t>(i),
                    [&name](const ScriptLock& other) { return other.name == name; });
    if (!owned || taken || info.locks[i].kind == LockKind::kSpinlock) {
      throw ConfigError(
          fmt::format("protocol '{}': lock '{}': expected a new name OWNER->NAME (owners: {}), a "
                      "mutex or an rwsem",
                      info.name, name, fmt::join(kOwners, ", ")));
    }
  }
  const auto own = std::make_shared<const ScriptedInfo>(std::move(info));
  add_protocol(key, own->name, own->description, own->base,
               [own](Context& context, const ProtocolParams& params) {
                 return std::make_unique<ScriptedProtocol>(context, params, *own);
               });
}

}  // namespace smmulab::iommufd
