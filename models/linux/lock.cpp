// SPDX-License-Identifier: Apache-2.0
#include "models/linux/lock.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "models/linux/machine.hpp"
#include "sim/error.hpp"

namespace smmulab::lnx {

LockRegistry::LockRegistry() = default;
LockRegistry::~LockRegistry() = default;

LockClass& LockRegistry::get(std::string_view name, LockKind kind) {
  const auto it = std::find_if(classes_.begin(), classes_.end(),
                               [name](const LockClass& c) { return c.name == name; });
  if (it != classes_.end()) {
    return *it;
  }
  const auto split = split_.find(name);
  return classes_.emplace_back(
      LockClass{.name = std::string(name),
                .kind = kind,
                .id = static_cast<std::uint32_t>(classes_.size()),
                .instances = 0,
                .elided = std::count(free_.begin(), free_.end(), name) > 0,
                .leaf = false,
                .split = split == split_.end() ? SplitBy::kNothing : split->second,
                .stat = {}});
}

void LockRegistry::make_free(std::string_view name) {
  free_.emplace_back(name);
  for (LockClass& cls : classes_) {
    cls.elided = cls.elided || cls.name == name;
  }
}

void LockRegistry::split(std::string_view name, SplitBy by) {
  split_.insert_or_assign(std::string(name), by);
  for (LockClass& cls : classes_) {
    if (cls.name == name) {
      cls.split = by;
    }
  }
}

void LockRegistry::set_subject(std::uint32_t thread, const Subject& subject) {
  while (subjects_.size() <= thread) {
    subjects_.emplace_back().fill(kNoSubject);
  }
  subjects_[thread] = subject;
}

std::unique_ptr<LockBase>& LockRegistry::part(const LockBase& lock, std::uint32_t thread) {
  const LockClass& cls = lock.lock_class();
  const std::uint32_t subject = thread < subjects_.size()
                                    ? subjects_[thread][static_cast<std::size_t>(cls.split)]
                                    : kNoSubject;
  return parts_[{cls.id, lock.instance(), subject}];
}

std::unique_ptr<LockBase>& LockBase::part_slot(const Thread& t) {
  return machine_->locks().part(*this, t.id());
}

LockBase::LockBase(Machine& machine, LockClass& cls)
    : machine_(&machine),
      class_(&cls),
      instance_(cls.instances++),
      step_id_(machine.control() != nullptr ? machine.control()->new_lock() : 0) {}

std::string LockBase::wait_name() const {
  return fmt::format("{}#{}", class_->name, instance_);
}

record_event::LockUse LockBase::record_use(Record& record, LockMode mode, unsigned subclass) {
  if (record_id_ == kNoRecordId) {
    record_id_ = record.intern_lock(class_->name, std::to_string(instance_)).value();
  }
  return {RecordLock{record_id_}, mode, static_cast<std::uint8_t>(subclass)};
}

void LockBase::note_request(Thread& t, LockMode mode, unsigned subclass, bool trylock) {
  if (Record* record = machine_->record()) [[unlikely]] {
    record->append(record_event::lock_request(machine_->now(), t.record_id(),
                                              record_use(*record, mode, subclass),
                                              trylock ? record_flag::kTry : std::uint16_t{0}));
  }
  for (const HeldLock& held : t.held()) {
    if (held.lock == this) {
      throw ModelError(fmt::format("thread {} takes {} while it holds it", t.name(), wait_name()));
    }
  }
}

void LockBase::note_acquired(Thread& t, LockMode mode, unsigned subclass, const Acquisition& how) {
  const SimTime now = machine_->now();
  StepControl* const control = machine_->control();
  if (control != nullptr) [[unlikely]] {  // without time there is nothing to count
    t.held().push_back({this, now, mode, static_cast<std::uint8_t>(subclass)});
    if (!class_->leaf) {
      control->acquired(t, *this, mode);
    }
    return;
  }
  const Ps wait = how.contended ? now - how.asked : Ps{0};
  const Ps spin = std::min(how.spin, wait);
  if (how.contended) {
    class_->stat.on_contended(how.bounced, mode);
    if (!stat_) {
      stat_ = std::make_unique<LockStat>();
    }
    stat_->on_contended(how.bounced, mode);
  }
  class_->stat.on_acquire(spin, wait - spin, how.contended, how.bounced, mode);
  if (stat_) {
    stat_->on_acquire(spin, wait - spin, how.contended, how.bounced, mode);
  }
  t.held().push_back({this, now, mode, static_cast<std::uint8_t>(subclass)});
  if (Record* record = machine_->record()) [[unlikely]] {
    std::uint16_t flags = 0;
    if (how.contended) {
      flags |= record_flag::kContended;
    }
    if (spin > Ps{0}) {
      flags |= record_flag::kSpun;
    }
    if (how.slept) {
      flags |= record_flag::kSlept;
    }
    if (how.tried) {
      flags |= record_flag::kTry;
    }
    record->append(record_event::lock_acquire(now, t.record_id(),
                                              record_use(*record, mode, subclass), flags, spin));
  }
}

void LockBase::note_release(Thread& t, LockMode mode) {
  auto& held = t.held();
  const auto it = std::find_if(held.rbegin(), held.rend(),
                               [this](const HeldLock& h) { return h.lock == this; });
  if (it == held.rend() || it->mode != mode) {
    if (Record* record = machine_->record()) [[unlikely]] {
      record->append(
          record_event::lock_release(machine_->now(), t.record_id(), record_use(*record, mode, 0)));
    }
    std::string holders = "nobody";
    std::vector<const Process*> owners;
    wait_holders(owners);
    if (!owners.empty() && owners.front() != nullptr) {
      holders = "thread " + owners.front()->name();
    }
    throw ModelError(fmt::format("thread {} releases {}, which it does not hold (held by {})",
                                 t.name(), wait_name(), holders));
  }
  const SimTime now = machine_->now();
  const Ps hold = now - it->since;
  const unsigned subclass = it->subclass;
  held.erase(std::next(it).base());
  if (StepControl* control = machine_->control()) [[unlikely]] {
    if (!class_->leaf) {
      control->released(t, *this, mode);
    }
    return;
  }
  class_->stat.on_release(hold, mode);
  if (stat_) {
    stat_->on_release(hold, mode);
  }
  if (Record* record = machine_->record()) [[unlikely]] {
    record->append(
        record_event::lock_release(now, t.record_id(), record_use(*record, mode, subclass)));
  }
}

}  // namespace smmulab::lnx
