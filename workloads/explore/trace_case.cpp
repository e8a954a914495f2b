// SPDX-License-Identifier: Apache-2.0
// A case from a trace.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/dependency_tracker.hpp"
#include "workloads/explore/cases.hpp"
#include "workloads/explore/footprint.hpp"
#include "workloads/trace_reader.hpp"

namespace smmulab::explore {
namespace {

using workloads::Op;
using workloads::OpKind;

constexpr std::size_t kMostOps = 256;  // more are no small case

struct Read {
  Op op;
  std::vector<std::size_t> after;  // places in the file
  std::size_t phase = 0;
};

// Every operation with those it waits for, phases included.
std::vector<Read> read_all(workloads::TraceReader& reader) {
  std::vector<Read> all;
  workloads::DependencyTracker tracker(reader.header().threads.size());
  std::map<workloads::CounterId, std::vector<std::size_t>> signals;  // who raises it, in order
  std::size_t phase = 0;
  std::size_t barrier = 0;
  Op op;
  while (reader.next(op)) {
    if (op.kind == OpKind::kPhase) {
      ++phase;
      barrier = all.size();
      continue;
    }
    if (all.size() == kMostOps) {
      throw ConfigError(fmt::format("{}: too large to explore: more than {} operations",
                                    reader.path(), kMostOps));
    }
    const workloads::Deps deps = tracker.next(op);
    Read read{op, {}, phase};
    std::set<std::size_t> after;
    for (std::size_t i = 0; i < barrier; ++i) {
      after.insert(i);
    }
    for (const workloads::Wait& wait : deps.waits()) {
      // Of an object's counter: all that raised it so far.
      const std::vector<std::size_t>& raised = signals[wait.counter];
      const std::size_t most = wait.counter < reader.header().threads.size()
                                   ? std::min<std::size_t>(wait.needed, raised.size())
                                   : raised.size();
      after.insert(raised.begin(), raised.begin() + static_cast<std::ptrdiff_t>(most));
    }
    read.after.assign(after.begin(), after.end());
    signals[op.thread.value()].push_back(all.size());
    for (const workloads::CounterId counter : deps.signals()) {
      signals[counter].push_back(all.size());
    }
    all.push_back(std::move(read));
  }
  return all;
}

// The first operation of the first phase in which several threads act.
std::size_t end_of_set_up(const std::vector<Read>& all) {
  std::size_t start = 0;
  while (start < all.size()) {
    std::size_t end = start;
    std::set<std::uint32_t> threads;
    while (end < all.size() && all[end].phase == all[start].phase) {
      threads.insert(all[end++].op.thread.value());
    }
    if (threads.size() > 1) {
      break;
    }
    start = end;
  }
  return start;
}

}  // namespace

Case case_of_trace(const std::string& path) {
  workloads::TraceReader reader(path);
  const std::vector<Read> all = read_all(reader);
  const std::size_t start = end_of_set_up(all);
  Case c{path, "", reader.header(), {}, {}, {}};
  for (std::size_t i = 0; i < start; ++i) {
    if (all[i].op.kind != OpKind::kDma) {
      c.set_up.push_back(all[i].op);
    }
  }
  std::map<std::uint32_t, std::size_t> rows;  // threads that act, in the order of the file
  for (std::size_t i = start; i < all.size(); ++i) {
    const std::uint32_t thread = all[i].op.thread.value();
    const auto [row, is_new] = rows.try_emplace(thread, c.ops.size());
    if (is_new) {
      c.threads.push_back(reader.header().threads[thread].name);
      c.ops.emplace_back();
    }
    CaseOp op{all[i].op, static_cast<std::uint32_t>(i - start), {}};
    for (const std::size_t before : all[i].after) {
      if (before >= start) {
        op.after.push_back(static_cast<std::uint32_t>(before - start));
      }
    }
    c.ops[row->second].push_back(std::move(op));
  }
  if (c.ops.size() > kMaxThreads) {
    throw ConfigError(fmt::format("{}: too large to explore: {} threads act, at most {} can", path,
                                  c.ops.size(), kMaxThreads));
  }
  if (c.ops.empty()) {
    throw ConfigError(fmt::format("{}: nothing to explore: no two threads act in one phase", path));
  }
  return c;
}

}  // namespace smmulab::explore
