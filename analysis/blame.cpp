// SPDX-License-Identifier: Apache-2.0
#include "analysis/blame.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <unordered_map>

#include <nlohmann/json.hpp>

#include "analysis/wait_stacks.hpp"

namespace smmulab::analysis {
namespace {

constexpr unsigned kDeepest = 24;  // links of a chain; beyond it the rest is one frame

struct Key {
  std::uint32_t waiter;
  std::uint32_t waiter_op;
  std::uint32_t holder;
  std::uint32_t holder_op;
  std::uint32_t awaited;
  WaitKind kind;
  friend bool operator==(const Key&, const Key&) = default;
};

struct Hash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t h = static_cast<std::uint64_t>(key.kind);
    for (const std::uint32_t part :
         {key.waiter, key.waiter_op, key.holder, key.holder_op, key.awaited}) {
      h = (h ^ part) * 0x9e3779b97f4a7c15ULL;
      h ^= h >> 29U;
    }
    return static_cast<std::size_t>(h);
  }
};

struct Sum {
  Ps total{0};
  Ps longest{0};
  std::uint64_t count = 0;
};

class Blamer {
 public:
  explicit Blamer(const Timelines& timelines)
      : timelines_(timelines), record_(timelines.record()) {}

  Blame run();

 private:
  using Node = WaitStacks::Node;

  void waits_of(std::uint32_t thread);
  void add(const Key& key, Ps share);
  void lock_wait(const Wait& wait, std::uint32_t thread, Node stack);
  // What the lock's holders do from `from` to `to`, charged to `stack`.
  void holders(Node stack, std::uint32_t lock, SimTime from, SimTime to, unsigned depth);
  // What `thread` does meanwhile: its waits below `stack`, the rest to it.
  void activity(Node stack, std::uint32_t thread, SimTime from, SimTime to, unsigned depth);
  void between_waits(Node stack, std::uint32_t thread, SimTime from, SimTime to);
  template <class Use>  // use(holding, from, to)
  void each_holding(std::uint32_t lock, SimTime from, SimTime to, const Use& use) const;
  [[nodiscard]] BlameRow row(const Key& key, const Sum& sum) const;

  const Timelines& timelines_;
  const Record& record_;
  WaitStacks stacks_;
  std::unordered_map<Key, Sum, Hash> sums_;
};

void Blamer::add(const Key& key, Ps share) {
  Sum& sum = sums_[key];
  sum.total += share;
  sum.longest = std::max(sum.longest, share);
  ++sum.count;
}

template <class Use>
void Blamer::each_holding(std::uint32_t lock, SimTime from, SimTime to, const Use& use) const {
  const auto& all = timelines_.holdings(lock);
  auto it = std::upper_bound(all.begin(), all.end(), from,
                             [](SimTime t, const Holding& h) { return t < h.since; });
  if (it != all.begin()) {
    --it;
  }
  for (; it != all.end() && it->since < to; ++it) {
    const SimTime end = std::next(it) == all.end() ? to : std::min(to, std::next(it)->since);
    const SimTime start = std::max(from, it->since);
    if (start < end) {
      use(*it, start, end);
    }
  }
}

void Blamer::lock_wait(const Wait& wait, std::uint32_t thread, Node stack) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, Ps> shares;  // by holder and its operation
  each_holding(wait.object, wait.from, wait.to,
               [&shares](const Holding& holding, SimTime from, SimTime to) {
                 shares[{holding.thread, holding.op}] += to - from;
               });
  for (const auto& [holder, share] : shares) {
    add({thread, wait.op, holder.first, holder.second, wait.object, WaitKind::kLock}, share);
  }
  holders(stacks_.push(stack, FrameKind::kLock, wait.object), wait.object, wait.from, wait.to, 0);
}

void Blamer::holders(Node stack, std::uint32_t lock, SimTime from, SimTime to, unsigned depth) {
  if (depth == kDeepest) {
    stacks_.add(stacks_.push(stack, FrameKind::kDeeper), to - from);
    return;
  }
  each_holding(lock, from, to, [&](const Holding& holding, SimTime start, SimTime end) {
    if (holding.thread == kNoRecordId) {
      stacks_.add(stacks_.push(stack, FrameKind::kHandedOver), end - start);
      return;
    }
    const Node thread = stacks_.push(stack, FrameKind::kThread, holding.thread);
    const Node op = stacks_.push(thread, FrameKind::kOp, holding.op);
    activity(op, holding.thread, start, end, depth + 1);
  });
}

void Blamer::activity(Node stack, std::uint32_t thread, SimTime from, SimTime to, unsigned depth) {
  const auto& waits = timelines_.threads()[thread].waits;
  auto it = std::upper_bound(waits.begin(), waits.end(), from,
                             [](SimTime t, const Wait& w) { return t < w.to; });
  for (; it != waits.end() && it->from < to; ++it) {
    const SimTime start = std::max(from, it->from);
    const SimTime end = std::min(to, it->to);
    between_waits(stack, thread, from, start);
    if (it->lock) {
      holders(stacks_.push(stack, FrameKind::kLock, it->object), it->object, start, end, depth);
    } else {
      stacks_.add(stacks_.push(stack, FrameKind::kObject, it->object), end - start);
    }
    from = end;
  }
  between_waits(stack, thread, from, to);
}

void Blamer::between_waits(Node stack, std::uint32_t thread, SimTime from, SimTime to) {
  if (from >= to) {
    return;
  }
  const auto& away = timelines_.threads()[thread].away;
  auto it = std::upper_bound(away.begin(), away.end(), from,
                             [](SimTime t, const Away& a) { return t < a.to; });
  Ps off{0};
  for (; it != away.end() && it->from < to; ++it) {
    off += std::min(to, it->to) - std::max(from, it->from);
  }
  if (off > Ps{0}) {
    stacks_.add(stacks_.push(stack, FrameKind::kOffCpu), off);
  }
  stacks_.add(stack, (to - from) - off);
}

void Blamer::waits_of(std::uint32_t thread) {
  const Timelines::Thread& line = timelines_.threads()[thread];
  const Node root = stacks_.push(WaitStacks::kRoot, FrameKind::kThread, thread);
  auto wait = line.waits.begin();
  for (const Away& away : line.away) {
    // Off the CPU within a wait it is that wait.
    while (wait != line.waits.end() && wait->to < away.to) {
      ++wait;
    }
    const bool within = wait != line.waits.end() && wait->from <= away.from;
    if (!within && away.op != kNoRecordId && away.from < away.to) {
      add({thread, away.op, kNoRecordId, kNoRecordId, kNoRecordId, WaitKind::kCpu},
          away.to - away.from);
      const Node op = stacks_.push(root, FrameKind::kOp, away.op);
      stacks_.add(stacks_.push(op, FrameKind::kOffCpu), away.to - away.from);
    }
  }
  for (const Wait& each : line.waits) {
    const Node op = stacks_.push(root, FrameKind::kOp, each.op);
    if (each.lock) {
      lock_wait(each, thread, op);
    } else {
      add({thread, each.op, kNoRecordId, kNoRecordId, each.object, WaitKind::kObject},
          each.to - each.from);
      stacks_.add(stacks_.push(op, FrameKind::kObject, each.object), each.to - each.from);
    }
  }
}

BlameRow Blamer::row(const Key& key, const Sum& sum) const {
  const auto thread = [this](std::uint32_t id) {
    return id == kNoRecordId ? std::string() : record_.name(RecordThread{id});
  };
  const auto op = [this](std::uint32_t id) {
    return id == kNoRecordId ? std::string() : record_.name(RecordOp{id});
  };
  BlameRow row{.waiter = thread(key.waiter),
               .waiter_op = op(key.waiter_op),
               .holder = thread(key.holder),
               .holder_op = op(key.holder_op),
               .awaited = "cpu",
               .lock_class = "",
               .kind = key.kind,
               .total = sum.total,
               .longest = sum.longest,
               .count = sum.count};
  if (key.kind == WaitKind::kLock) {
    row.awaited = lock_name(record_, key.awaited);
    row.lock_class = record_.name(record_.lock_class(RecordLock{key.awaited}));
  } else if (key.kind == WaitKind::kObject) {
    row.awaited = record_.name(RecordObject{key.awaited});
  }
  return row;
}

Blame Blamer::run() {
  for (std::uint32_t thread = 0; thread < timelines_.threads().size(); ++thread) {
    waits_of(thread);
  }
  Blame result;
  result.rows.reserve(sums_.size());
  for (const auto& [key, sum] : sums_) {  // sorted below
    result.rows.push_back(row(key, sum));
  }
  const auto order = [](const BlameRow& r) {
    return std::tuple(-r.total.count(),
                      std::tie(r.waiter, r.waiter_op, r.awaited, r.holder, r.holder_op));
  };
  std::sort(result.rows.begin(), result.rows.end(),
            [&order](const BlameRow& a, const BlameRow& b) { return order(a) < order(b); });
  result.stacks = stacks_.folded(record_);
  result.unfinished = timelines_.unfinished();
  return result;
}

}  // namespace

Blame blame(const Timelines& timelines) {
  return Blamer(timelines).run();
}

std::string to_json(const Blame& blame) {
  constexpr std::array<const char*, 3> kKinds = {"lock", "object", "cpu"};
  nlohmann::json rows = nlohmann::json::array();
  for (const BlameRow& r : blame.rows) {
    rows.push_back({{"waiter", r.waiter},
                    {"waiter_op", r.waiter_op},
                    {"holder", r.holder},
                    {"holder_op", r.holder_op},
                    {"kind", kKinds.at(static_cast<std::size_t>(r.kind))},
                    {"awaited", r.awaited},
                    {"lock_class", r.lock_class},
                    {"total_ps", r.total.count()},
                    {"longest_ps", r.longest.count()},
                    {"count", r.count}});
  }
  return nlohmann::json{
      {"rows", std::move(rows)}, {"stacks", blame.stacks}, {"unfinished", blame.unfinished}}
      .dump();
}

}  // namespace smmulab::analysis
