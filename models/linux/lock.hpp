// SPDX-License-Identifier: Apache-2.0
// What all lock models share: classes (one per kernel init site, as lockdep has them), instances,
// statistics in lockstat's words, and the checks every lock makes: taking a lock twice, giving back
// one that is not held, giving back one that another thread holds are ModelErrors.
// Not modelled: lockdep's own cost, RT mutexes, wait_lock as a lock of its own (its cost is in
// LockParams::mutex_queue).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "sim/lock_stat.hpp"
#include "sim/process.hpp"
#include "sim/record.hpp"
#include "sim/time.hpp"

namespace smmulab::lnx {

class LockBase;
class Machine;
class Thread;

enum class LockKind : std::uint8_t { kMutex, kRwsem, kSpinlock };

// What an operation works upon, by which a lock may be split.
enum class SplitBy : std::uint8_t { kNothing, kDevice, kGroup, kHwpt, kIoas, kSmmu };
inline constexpr std::size_t kSplitKinds = 6;
// A number for each kind; kNoSubject: the operation names none.
using Subject = std::array<std::uint32_t, kSplitKinds>;
inline constexpr std::uint32_t kNoSubject = 0xffffffff;

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
  // What-if: each lock of the class is as many locks (its parts) as there are subjects of that
  // kind, and who takes it takes the part of what its operation works upon. Parts exclude each
  // other no more, whatever the lock was there for; they count as locks of this class.
  SplitBy split = SplitBy::kNothing;
  LockStat stat;
};

class LockRegistry {
 public:
  LockRegistry();
  LockRegistry(const LockRegistry&) = delete;
  LockRegistry& operator=(const LockRegistry&) = delete;
  ~LockRegistry();

  // The class of that name, made at the first call. References stay valid.
  LockClass& get(std::string_view name, LockKind kind);
  // The class of that name, made already or not, is elided; freed() from then on.
  void make_free(std::string_view name);
  // The class of that name, made already or not, is split; freed() from then on.
  void split(std::string_view name, SplitBy by);
  [[nodiscard]] bool any_split() const { return !split_.empty(); }
  // What the operation under way in the thread of that id works upon. REQUIRES: it holds no lock.
  void set_subject(std::uint32_t thread, const Subject& subject);
  // The part of a split lock for that thread: empty at first, to be made by the lock.
  [[nodiscard]] std::unique_ptr<LockBase>& part(const LockBase& lock, std::uint32_t thread);
  // What a lock was there for may happen: an object may go while somebody looks at it.
  [[nodiscard]] bool freed() const { return !free_.empty() || !split_.empty(); }
  [[nodiscard]] const std::deque<LockClass>& classes() const { return classes_; }

 private:
  std::deque<LockClass> classes_;
  std::vector<std::string> free_;
  std::map<std::string, SplitBy, std::less<>> split_;
  std::vector<Subject> subjects_;  // by thread
  // By class, instance and subject. They stay until the end, as a lock's number is never used
  // again.
  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::unique_ptr<LockBase>>
      parts_;
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
  [[nodiscard]] bool is_split() const { return class_->split != SplitBy::kNothing && !part_; }
  // The part that `t` takes of a split lock.
  template <class Lock>
  [[nodiscard]] Lock& part_for(const Thread& t) {
    std::unique_ptr<LockBase>& part = part_slot(t);
    if (!part) {
      part = std::make_unique<Lock>(*machine_, *class_);
      part->part_ = true;
    }
    return static_cast<Lock&>(*part);
  }

 private:
  [[nodiscard]] std::unique_ptr<LockBase>& part_slot(const Thread& t);
  record_event::LockUse record_use(Record& record, LockMode mode, unsigned subclass);

  Machine* machine_;
  LockClass* class_;
  std::unique_ptr<LockStat> stat_;
  std::uint32_t instance_;
  std::uint32_t record_id_ = kNoRecordId;  // its number in the record, once noted there
  std::uint32_t step_id_;
  bool part_ = false;  // of a split lock
};

// One entry of a thread's held-lock stack.
struct HeldLock {
  LockBase* lock;
  SimTime since;
  LockMode mode;
  std::uint8_t subclass;
};

}  // namespace smmulab::lnx
