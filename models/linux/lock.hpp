// SPDX-License-Identifier: Apache-2.0
// What all lock models share: classes (one per kernel init site, as lockdep has them), instances,
// statistics in lockstat's words, and the checks every lock makes: taking a lock twice, giving back
// one that is not held, giving back one that another thread holds are ModelErrors.
// Not modelled: lockdep's own cost, RT mutexes, wait_lock as a lock of its own (its cost is in
// LockParams::mutex_queue).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/lock_stat.hpp"
#include "sim/process.hpp"
#include "sim/record.hpp"
#include "sim/time.hpp"

namespace smmulab::lnx {

class Machine;
class Thread;

enum class LockKind : std::uint8_t { kMutex, kRwsem, kSpinlock };

struct LockClass {
  std::string name;
  LockKind kind;
  std::uint32_t id;
  std::uint32_t instances = 0;
  // Locks of an elided class exclude nobody, cost nothing and leave no trace in statistics and
  // record (bounds, what-if).
  bool elided = false;
  // Never held where another thread could come to run, and nothing that waits is taken under it: a
  // step control (step_control.hpp) need not know of it.
  bool leaf = false;
  LockStat stat;
};

class LockRegistry {
 public:
  // The class of that name, made at the first call. References stay valid.
  LockClass& get(std::string_view name, LockKind kind);
  // The class of that name, made already or not, is elided; freed() from then on.
  void make_free(std::string_view name);
  // What a lock was there for may happen: an object may go while somebody looks at it.
  [[nodiscard]] bool freed() const { return !free_.empty(); }
  [[nodiscard]] const std::deque<LockClass>& classes() const { return classes_; }

 private:
  std::deque<LockClass> classes_;
  std::vector<std::string> free_;
};

class LockBase : public Waitable {
 public:
  LockBase(Machine& machine, LockClass& cls);
  LockBase(const LockBase&) = delete;
  LockBase& operator=(const LockBase&) = delete;

  [[nodiscard]] LockClass& lock_class() const { return *class_; }
  [[nodiscard]] std::uint32_t instance() const { return instance_; }
  // Per-instance statistics: kept once enabled or once the lock was contended; else null.
  [[nodiscard]] const LockStat* instance_stat() const { return stat_.get(); }
  [[nodiscard]] std::uint32_t step_id() const { return step_id_; }  // StepControl::new_lock()
  [[nodiscard]] std::string wait_name() const override;
  // A holder of this lock left its CPU: who spins on it must look again.
  virtual void holder_off_cpu() = 0;

 protected:
  // How one acquisition went, for statistics and the record.
  struct Acquisition {
    SimTime asked;       // when the first attempt was made
    Ps spin{0};          // of the wait, time spent spinning
    bool slept = false;  // went off the CPU for it
    bool contended = false;
    bool bounced = false;  // the lock word came from another CPU
    bool tried = false;    // by a trylock
  };
  // Throws ModelError if `t` holds this lock already.
  void note_request(Thread& t, LockMode mode, unsigned subclass, bool trylock = false);
  void note_acquired(Thread& t, LockMode mode, unsigned subclass, const Acquisition& how);
  // Throws ModelError if `t` does not hold this lock in that mode. Records even what is wrong: the
  // record of a run ends with the mistake that ended the run.
  void note_release(Thread& t, LockMode mode);
  [[nodiscard]] Machine& machine() const { return *machine_; }

 private:
  record_event::LockUse record_use(Record& record, LockMode mode, unsigned subclass);

  Machine* machine_;
  LockClass* class_;
  std::unique_ptr<LockStat> stat_;
  std::uint32_t instance_;
  std::uint32_t record_id_ = kNoRecordId;  // its number in the record, once noted there
  std::uint32_t step_id_;
};

// One entry of a thread's held-lock stack.
struct HeldLock {
  LockBase* lock;
  SimTime since;
  LockMode mode;
  std::uint8_t subclass;
};

}  // namespace smmulab::lnx
