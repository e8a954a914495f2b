// SPDX-License-Identifier: Apache-2.0
#include "analysis/lock_graph.hpp"

#include <algorithm>
#include <iterator>

namespace smmulab::analysis {
namespace {

HoldMode mode_of(const RecordEvent& e) {
  if ((e.flags & record_flag::kRead) == 0) {
    return HoldMode::kExclusive;
  }
  return (e.flags & record_flag::kRecursive) != 0 ? HoldMode::kRecursiveReader : HoldMode::kReader;
}

std::uint8_t dep_kind(HoldMode held, HoldMode wanted) {
  const bool recursive = wanted == HoldMode::kRecursiveReader;
  if (held == HoldMode::kExclusive) {
    return recursive ? dep::kExclusiveRecursive : dep::kExclusiveNonRecursive;
  }
  return recursive ? dep::kSharedRecursive : dep::kSharedNonRecursive;
}

// "replace dev=0 pt=2" -> "replace"
std::string first_word(const std::string& name) {
  return name.substr(0, name.find(' '));
}

// "CLASS#INSTANCE" -> CLASS
std::string class_of(const std::string& name) {
  return name.substr(0, name.rfind('#'));
}

}  // namespace

// Reads one record; knows what each thread holds.
class LockGraphBuilder::Run {
 public:
  Run(LockGraphBuilder& builder, const Record& record)
      : builder_(builder),
        graph_(builder.graph_),
        record_(record),
        run_(static_cast<std::uint32_t>(graph_.runs.size() - 1)),
        threads_(record.thread_count()),
        lock_nodes_(record.lock_class_count() * kSubclasses, kUnknown),
        awaited_nodes_(record.object_count(), kUnknown) {}

  void read();
  void note_blocked();

 private:
  static constexpr std::size_t kSubclasses = 256;
  static constexpr NodeIndex kUnknown = ~NodeIndex{0};

  struct Held {
    NodeIndex node;
    std::uint32_t object;  // the lock's or the awaited object's number in the record
    HoldMode mode;
    bool lock;
    bool trylock;
    bool pending;  // asked for, not got yet
  };
  struct Thread {
    std::vector<Held> held;
    bool inside = false;
    RecordOp operation{};
    std::uint64_t number = 0;
    std::uint64_t waits = 0;  // begun and not ended
  };

  NodeIndex lock_node(const RecordEvent& e);
  NodeIndex awaited_node(const RecordEvent& e);
  [[nodiscard]] ChainLink link(const Held& held) const;
  [[nodiscard]] Witness witness(const RecordEvent& e, const Thread& thread, const Held& wanted);
  void note(Mistake& mistake, const RecordEvent& e, const Thread& thread, const Held& wanted);
  void on_event(const RecordEvent& e, Thread& thread);
  void on_request(const RecordEvent& e, Thread& thread);
  void on_acquire(const RecordEvent& e, Thread& thread);
  void on_release(const RecordEvent& e, Thread& thread, bool lock);
  void on_wait(const RecordEvent& e, Thread& thread);
  void on_wait_end(Thread& thread);
  void on_op_end(const RecordEvent& e, Thread& thread);
  void depend(const RecordEvent& e, const Thread& thread, const Held& wanted);
  void depend_instance(const RecordEvent& e, const Thread& thread, const Held& held,
                       const Held& wanted);

  LockGraphBuilder& builder_;
  LockGraph& graph_;
  const Record& record_;
  std::uint32_t run_;
  std::vector<Thread> threads_;
  std::vector<NodeIndex> lock_nodes_;
  std::vector<NodeIndex> awaited_nodes_;
};

NodeIndex LockGraphBuilder::Run::lock_node(const RecordEvent& e) {
  const RecordLockClass cls = record_.lock_class(RecordLock{e.object});
  NodeIndex& known = lock_nodes_[cls.value() * kSubclasses + e.detail];
  if (known == kUnknown) {
    known = builder_.node(record_.name(cls), e.detail, true);
  }
  return known;
}

NodeIndex LockGraphBuilder::Run::awaited_node(const RecordEvent& e) {
  NodeIndex& known = awaited_nodes_[e.object];
  if (known == kUnknown) {
    known = builder_.node(class_of(record_.name(RecordObject{e.object})), 0, false);
  }
  return known;
}

ChainLink LockGraphBuilder::Run::link(const Held& held) const {
  std::string instance;
  if (held.lock) {
    const RecordLock lock{held.object};
    instance = record_.name(record_.lock_class(lock)) + "#" + record_.name(lock);
  } else {
    instance = record_.name(RecordObject{held.object});
  }
  return {held.node, std::move(instance), held.mode, held.trylock};
}

Witness LockGraphBuilder::Run::witness(const RecordEvent& e, const Thread& thread,
                                       const Held& wanted) {
  Witness w;
  w.run = run_;
  w.thread = record_.name(RecordThread{e.thread});
  if (thread.inside) {
    w.operation = record_.name(thread.operation);
    w.number = thread.number;
  }
  w.time = e.time;
  w.order = ++builder_.order_;
  for (const Held& held : thread.held) {
    w.held.push_back(link(held));
  }
  w.wanted = link(wanted);
  return w;
}

void LockGraphBuilder::Run::note(Mistake& mistake, const RecordEvent& e, const Thread& thread,
                                 const Held& wanted) {
  if (mistake.count++ == 0) {
    mistake.first = witness(e, thread, wanted);
  }
}

void LockGraphBuilder::Run::depend_instance(const RecordEvent& e, const Thread& thread,
                                            const Held& held, const Held& wanted) {
  const RecordLock lock{wanted.object};
  if (record_.lock_class(RecordLock{held.object}) != record_.lock_class(lock)) {
    return;
  }
  std::vector<std::string> gates;
  for (const Held& h : thread.held) {
    if (h.lock && h.mode == HoldMode::kExclusive && h.object != held.object) {
      gates.push_back(link(h).instance);
    }
  }
  std::sort(gates.begin(), gates.end());
  InstanceEdge& edge =
      graph_
          .instances[{run_, record_.name(record_.lock_class(lock)), RecordLock{held.object}, lock}];
  if (edge.count++ == 0) {
    edge.first = witness(e, thread, wanted);
    edge.gates = std::move(gates);
    return;
  }
  std::vector<std::string> both;
  std::set_intersection(edge.gates.begin(), edge.gates.end(), gates.begin(), gates.end(),
                        std::back_inserter(both));
  edge.gates = std::move(both);
}

// check_deadlock() and check_prevs_add()
void LockGraphBuilder::Run::depend(const RecordEvent& e, const Thread& thread, const Held& wanted) {
  bool direct = true;
  for (auto held = thread.held.rbegin(); held != thread.held.rend(); ++held) {
    if (held->lock && wanted.lock) {
      depend_instance(e, thread, *held, wanted);
    }
    if (held->node == wanted.node) {
      const bool both_read =
          wanted.mode == HoldMode::kRecursiveReader && held->mode != HoldMode::kExclusive;
      if (!both_read) {
        note(graph_.recursions[wanted.node], e, thread, wanted);
      }
    } else {
      LockEdge& edge = builder_.edge(held->node, wanted.node);
      edge.kinds |= dep_kind(held->mode, wanted.mode);
      edge.direct = edge.direct || direct;
      if (edge.count++ == 0) {
        edge.first = witness(e, thread, wanted);
      }
    }
    direct = direct && !(held->lock && !held->trylock);
  }
}

void LockGraphBuilder::Run::on_request(const RecordEvent& e, Thread& thread) {
  const bool trylock = (e.flags & record_flag::kTry) != 0;
  const Held wanted{lock_node(e), e.object, mode_of(e), true, trylock, true};
  ++graph_.nodes[wanted.node].acquisitions;
  if (!trylock) {
    depend(e, thread, wanted);
  }
  thread.held.push_back(wanted);
  const auto depth = static_cast<std::size_t>(
      std::count_if(thread.held.begin(), thread.held.end(), [](const Held& h) { return h.lock; }));
  graph_.max_depth = std::max(graph_.max_depth, depth);
}

void LockGraphBuilder::Run::on_acquire(const RecordEvent& e, Thread& thread) {
  const auto asked = std::find_if(thread.held.rbegin(), thread.held.rend(), [&e](const Held& h) {
    return h.lock && h.object == e.object && h.pending;
  });
  if (asked != thread.held.rend()) {
    asked->pending = false;
    return;
  }
  // Without a request: downgraded from a writer, which makes no new dependency.
  thread.held.push_back(
      {lock_node(e), e.object, mode_of(e), true, (e.flags & record_flag::kTry) != 0, false});
}

void LockGraphBuilder::Run::on_release(const RecordEvent& e, Thread& thread, bool lock) {
  const auto held = std::find_if(
      thread.held.rbegin(), thread.held.rend(),
      [&e, lock](const Held& h) { return h.lock == lock && h.object == e.object && !h.pending; });
  if (held != thread.held.rend()) {
    thread.held.erase(std::next(held).base());
  } else if (lock) {
    const NodeIndex node = lock_node(e);
    note(graph_.bad_releases[node], e, thread, {node, e.object, mode_of(e), true, false, false});
  }
}

void LockGraphBuilder::Run::on_wait(const RecordEvent& e, Thread& thread) {
  const Held what{awaited_node(e), e.object, HoldMode::kExclusive, false, false, true};
  ++graph_.nodes[what.node].acquisitions;
  depend(e, thread, what);
  HeldWait wait{what.node, {}, thread.inside ? first_word(record_.name(thread.operation)) : ""};
  for (const Held& held : thread.held) {
    if (held.lock) {
      wait.held.push_back(held.node);
    }
  }
  if (!wait.held.empty()) {
    note(graph_.waits[wait], e, thread, what);
  }
  thread.held.push_back(what);
}

void LockGraphBuilder::Run::on_wait_end(Thread& thread) {
  const auto waited = std::find_if(thread.held.rbegin(), thread.held.rend(),
                                   [](const Held& h) { return !h.lock && h.pending; });
  if (waited != thread.held.rend()) {
    thread.held.erase(std::next(waited).base());
  }
}

void LockGraphBuilder::Run::on_op_end(const RecordEvent& e, Thread& thread) {
  for (const Held& held : thread.held) {
    note(graph_.held_at_exit[held.node], e, thread, held);
  }
  thread.held.clear();  // told once; what comes later is not its fault
  thread.inside = false;
}

void LockGraphBuilder::Run::on_event(const RecordEvent& e, Thread& thread) {
  switch (e.kind) {
    case RecordKind::kOpBegin:
      thread.inside = true;
      thread.operation = RecordOp{e.object};
      thread.number = e.arg;
      break;
    case RecordKind::kOpEnd:
      on_op_end(e, thread);
      break;
    case RecordKind::kLockRequest:
      on_request(e, thread);
      break;
    case RecordKind::kLockAcquire:
      on_acquire(e, thread);
      break;
    case RecordKind::kLockRelease:
      on_release(e, thread, true);
      break;
    case RecordKind::kRefGet:
      thread.held.push_back(
          {awaited_node(e), e.object, HoldMode::kRecursiveReader, false, true, false});
      break;
    case RecordKind::kRefPut:
      on_release(e, thread, false);
      break;
    case RecordKind::kWaitBegin:
      on_wait(e, thread);
      break;
    case RecordKind::kWaitEnd:
      on_wait_end(thread);
      break;
    default:
      break;
  }
}

// Whoever waits for something when the record ends waits for ever.
void LockGraphBuilder::Run::note_blocked() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = threads_[i];
    const auto wanted = std::find_if(thread.held.rbegin(), thread.held.rend(),
                                     [](const Held& h) { return h.pending; });
    if (wanted != thread.held.rend()) {
      const Held what = *wanted;
      thread.held.erase(std::next(wanted).base());
      RecordEvent e;
      e.thread = static_cast<std::uint32_t>(i);
      e.time = record_.size() == 0 ? SimTime{} : record_[record_.size() - 1].time;
      graph_.blocked.push_back(witness(e, thread, what));
    }
  }
}

void LockGraphBuilder::Run::read() {
  for (const RecordEvent& e : record_) {
    if (e.thread < threads_.size() && e.object != kNoRecordId) {
      on_event(e, threads_[e.thread]);
    }
  }
}

LockGraphBuilder::LockGraphBuilder() = default;
LockGraphBuilder::~LockGraphBuilder() = default;

void LockGraphBuilder::add(const Record& record, RunInfo run) {
  const bool whole = !run.cut && record.dropped() == 0;
  graph_.runs.push_back(std::move(run));
  graph_.events += record.size();
  graph_.dropped += record.dropped();
  Run reader(*this, record);
  reader.read();
  if (whole) {
    reader.note_blocked();
  }
}

NodeIndex LockGraphBuilder::node(const std::string& name, std::uint8_t subclass, bool lock) {
  const auto [it, added] = node_numbers_.try_emplace({name, subclass, lock},
                                                     static_cast<NodeIndex>(graph_.nodes.size()));
  if (added) {
    graph_.nodes.push_back({name, subclass, lock, 0});
    edge_numbers_.emplace_back();
  }
  return it->second;
}

LockEdge& LockGraphBuilder::edge(NodeIndex from, NodeIndex to) {
  std::vector<std::uint32_t>& row = edge_numbers_[from];
  if (row.size() <= to) {
    row.resize(to + 1);
  }
  if (row[to] == 0) {
    LockEdge& made = graph_.edges.emplace_back();
    made.from = from;
    made.to = to;
    row[to] = static_cast<std::uint32_t>(graph_.edges.size());
  }
  return graph_.edges[row[to] - 1];
}

}  // namespace smmulab::analysis
