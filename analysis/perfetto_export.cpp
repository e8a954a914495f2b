// SPDX-License-Identifier: Apache-2.0
#include "analysis/perfetto_export.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "analysis/perfetto_queue.hpp"
#include "analysis/perfetto_writer.hpp"

namespace smmulab::analysis {
namespace {

using Track = PerfettoWriter::Track;

// From the event where a flow starts to the one where it ends; the latter is its number.
struct Flow {
  std::uint64_t from;
  std::uint64_t to;
  friend auto operator<=>(const Flow&, const Flow&) = default;
};

std::vector<Flow> flows_of(const Timelines& timelines) {
  std::vector<Flow> flows;
  for (const Timelines::Thread& thread : timelines.threads()) {
    for (const Wait& wait : thread.waits) {
      if (wait.enabler != kNoEvent) {
        flows.push_back({wait.enabler, wait.end});
      }
    }
    for (const Away& away : thread.away) {
      if (away.wake != kNoEvent && timelines.record()[away.wake].peer != kNoRecordId) {
        flows.push_back({away.wake, away.on});
      }
    }
  }
  std::sort(flows.begin(), flows.end());
  return flows;
}

// What the objects of a record are: the table of names does not tell.
enum class Role : std::uint8_t { kNone, kCpu, kQueue, kDevice };

std::vector<Role> roles_of(const Record& record) {
  std::vector<Role> roles(record.object_count(), Role::kNone);
  for (const RecordEvent& e : record) {
    switch (e.kind) {
      case RecordKind::kCpuOn:
      case RecordKind::kCpuOff:
        roles[e.object] = Role::kCpu;
        break;
      case RecordKind::kCommandIssue:
        roles[e.object] = Role::kQueue;
        break;
      case RecordKind::kDmaDarkBegin:
      case RecordKind::kDmaDarkEnd:
        roles[e.object] = Role::kDevice;
        break;
      default:
        break;
    }
  }
  return roles;
}

class Exporter {
 public:
  Exporter(const Timelines& timelines, std::ostream& out, const CommandName& command_name)
      : timelines_(timelines),
        command_name_(command_name),
        record_(timelines.record()),
        writer_(out),
        flows_(flows_of(timelines)),
        next_flow_(flows_.begin()),
        threads_(record_.thread_count()),
        locks_(record_.lock_count()),
        objects_(record_.object_count()) {
    const std::vector<Role> roles = roles_of(record_);
    add_threads();
    add_objects("CPUs", roles, Role::kCpu);
    add_locks();
    add_objects("Command queues", roles, Role::kQueue);
    add_objects("DMA", roles, Role::kDevice);
  }

  void run() {
    for (std::uint64_t i = 0; i < record_.size(); ++i) {
      take(i, record_[i]);
    }
    for (const ThreadState& thread : threads_) {
      if (thread.request) {
        const RecordEvent& e = record_[*thread.request];
        writer_.begin_slice(e.time, thread.track,
                            fmt::format("waits for {}, in vain", lock_name(e.object)));
      }
    }
  }

 private:
  struct ThreadState {
    Track track{};
    std::size_t waits = 0;  // done
    std::size_t away = 0;
    std::optional<std::uint64_t> request;  // for a lock, not granted yet
  };
  struct LockState {
    std::optional<Track> track;  // somebody waited for it
    std::uint32_t holder = kNoRecordId;
    std::uint32_t readers = 0;
    bool open = false;  // a slice is
  };
  struct ObjectState {
    std::optional<BusyTrack> busy;       // a CPU's, a device's
    std::optional<PerfettoQueue> queue;  // something was issued to it
  };

  [[nodiscard]] std::string lock_name(std::uint32_t lock) const {
    const RecordLock id{lock};
    return fmt::format("{}#{}", record_.name(record_.lock_class(id)), record_.name(id));
  }

  void add_threads() {
    const Track top = writer_.add_track("Threads", PerfettoWriter::kTop);
    for (std::uint32_t t = 0; t < threads_.size(); ++t) {
      threads_[t].track = writer_.add_track(record_.name(RecordThread{t}), top);
    }
  }

  void add_locks() {
    for (const Timelines::Thread& thread : timelines_.threads()) {
      for (const Wait& wait : thread.waits) {
        if (wait.lock) {
          locks_[wait.object].track = Track{};
        }
      }
    }
    std::vector<std::pair<std::string, std::uint32_t>> names;
    for (std::uint32_t l = 0; l < locks_.size(); ++l) {
      if (locks_[l].track) {
        names.emplace_back(lock_name(l), l);
      }
    }
    std::sort(names.begin(), names.end());
    const Track top = writer_.add_track("Locks", PerfettoWriter::kTop);
    for (const auto& [name, lock] : names) {
      locks_[lock].track = writer_.add_track(name, top);
    }
  }

  void add_objects(std::string_view title, const std::vector<Role>& roles, Role role) {
    std::vector<std::tuple<std::size_t, std::string, std::uint32_t>> names;  // cpu2 before cpu10
    for (std::uint32_t o = 0; o < roles.size(); ++o) {
      if (roles[o] == role) {
        const std::string& name = record_.name(RecordObject{o});
        names.emplace_back(name.size(), name, o);
      }
    }
    std::sort(names.begin(), names.end());
    const Track top = writer_.add_track(title, PerfettoWriter::kTop);
    for (const auto& [size, name, object] : names) {
      if (role == Role::kQueue) {
        objects_[object].queue.emplace(writer_, record_, command_name_, name, top);
      } else {
        objects_[object].busy.emplace(writer_.add_track(name, top));
      }
    }
  }

  void take(std::uint64_t i, const RecordEvent& e) {
    switch (e.kind) {
      case RecordKind::kOpBegin:
        writer_.begin_slice(e.time, threads_[e.thread].track, record_.name(RecordOp{e.object}));
        break;
      case RecordKind::kOpEnd:
        writer_.end_slice(e.time, threads_[e.thread].track);
        break;
      case RecordKind::kLockRequest:
        threads_[e.thread].request = i;
        begin_wait(i, e, true);
        break;
      case RecordKind::kLockAcquire:
        threads_[e.thread].request.reset();
        end_wait(i, e);
        acquire(e);
        break;
      case RecordKind::kLockRelease:
        start_flows(i, e.time, threads_[e.thread].track,
                    [&] { return fmt::format("releases {}", lock_name(e.object)); });
        release(e);
        break;
      case RecordKind::kWaitBegin:
        begin_wait(i, e, false);
        break;
      case RecordKind::kWaitEnd:
        end_wait(i, e);
        break;
      case RecordKind::kThreadWake:
        if (e.peer != kNoRecordId) {
          start_flows(i, e.time, threads_[e.peer].track,
                      [&] { return "wakes " + record_.name(RecordThread{e.thread}); });
        }
        break;
      case RecordKind::kCpuOn:
        cpu_on(i, e);
        break;
      case RecordKind::kCpuOff:
        cpu_off(i, e);
        break;
      case RecordKind::kCommandIssue:
      case RecordKind::kCommandComplete:
        if (std::optional<PerfettoQueue>& queue = objects_[e.object].queue) {
          queue->take(i, e);
        }
        break;
      case RecordKind::kDmaDarkBegin:
        objects_[e.object].busy->open(writer_, e.time, "dark");
        break;
      case RecordKind::kDmaDarkEnd:
        objects_[e.object].busy->close(writer_, e.time);
        break;
      case RecordKind::kThreadSleep:
      case RecordKind::kRefGet:
      case RecordKind::kRefPut:
        break;
    }
  }

  void begin_wait(std::uint64_t i, const RecordEvent& e, bool lock) {
    const ThreadState& thread = threads_[e.thread];
    const std::vector<Wait>& waits = timelines_.threads()[e.thread].waits;
    if (thread.waits < waits.size() && waits[thread.waits].begin == i) {
      writer_.begin_slice(e.time, thread.track,
                          fmt::format("waits for {}", lock ? lock_name(e.object)
                                                           : record_.name(RecordObject{e.object})));
    }
  }

  void end_wait(std::uint64_t i, const RecordEvent& e) {
    ThreadState& thread = threads_[e.thread];
    const std::vector<Wait>& waits = timelines_.threads()[e.thread].waits;
    if (thread.waits == waits.size() || waits[thread.waits].end != i) {
      return;
    }
    writer_.end_slice(e.time, thread.track);
    if (waits[thread.waits].enabler != kNoEvent) {
      writer_.end_flow(e.time, thread.track, fmt::format("acquires {}", lock_name(e.object)),
                       i + 1);
    }
    ++thread.waits;
  }

  // Flows that start in this event; `name` is asked for only if there are any.
  template <class Name>
  void start_flows(std::uint64_t i, SimTime time, Track track, const Name& name) {
    for (; next_flow_ != flows_.end() && next_flow_->from <= i; ++next_flow_) {
      if (next_flow_->from == i) {
        writer_.start_flow(time, track, name(), next_flow_->to + 1);
      }
    }
  }

  void cpu_on(std::uint64_t i, const RecordEvent& e) {
    objects_[e.object].busy->open(writer_, e.time, record_.name(RecordThread{e.thread}));
    ThreadState& thread = threads_[e.thread];
    const std::vector<Away>& away = timelines_.threads()[e.thread].away;
    if (thread.away == away.size() || away[thread.away].on != i) {
      return;
    }
    const Away& from = away[thread.away++];
    if (from.off != kNoEvent) {
      writer_.end_slice(e.time, thread.track);
    }
    if (from.wake != kNoEvent && record_[from.wake].peer != kNoRecordId) {
      writer_.end_flow(e.time, thread.track, "woken", i + 1);
    }
  }

  void cpu_off(std::uint64_t i, const RecordEvent& e) {
    objects_[e.object].busy->close(writer_, e.time);
    const ThreadState& thread = threads_[e.thread];
    const std::vector<Away>& away = timelines_.threads()[e.thread].away;
    if (thread.away < away.size() && away[thread.away].off == i) {
      writer_.begin_slice(e.time, thread.track,
                          away[thread.away].runnable ? "preempted" : "asleep");
    }
  }

  void acquire(const RecordEvent& e) {
    LockState& lock = locks_[e.object];
    if ((e.flags & record_flag::kRead) != 0) {
      ++lock.readers;
    } else {
      lock.holder = e.thread;
    }
    show(e.time, lock);
  }

  void release(const RecordEvent& e) {
    LockState& lock = locks_[e.object];
    if ((e.flags & record_flag::kRead) != 0) {
      lock.readers -= lock.readers == 0 ? 0 : 1;  // a mistake that the record ends with
    } else {
      lock.holder = kNoRecordId;
    }
    show(e.time, lock);
  }

  void show(SimTime time, LockState& lock) {
    if (!lock.track) {
      return;
    }
    if (lock.open) {
      writer_.end_slice(time, *lock.track);
    }
    lock.open = lock.holder != kNoRecordId || lock.readers != 0;
    if (lock.open) {
      writer_.begin_slice(time, *lock.track,
                          lock.holder != kNoRecordId ? record_.name(RecordThread{lock.holder})
                          : lock.readers == 1        ? "1 reader"
                                                     : fmt::format("{} readers", lock.readers));
    }
  }

  const Timelines& timelines_;
  const CommandName& command_name_;
  const Record& record_;
  PerfettoWriter writer_;
  std::vector<Flow> flows_;
  std::vector<Flow>::const_iterator next_flow_;
  std::vector<ThreadState> threads_;
  std::vector<LockState> locks_;
  std::vector<ObjectState> objects_;
};

}  // namespace

void write_perfetto(const Timelines& timelines, std::ostream& out,
                    const CommandName& command_name) {
  Exporter(timelines, out, command_name).run();
}

}  // namespace smmulab::analysis
