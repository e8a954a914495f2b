// SPDX-License-Identifier: Apache-2.0
#include "analysis/lockdep_text.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "analysis/known_hazards.hpp"

namespace smmulab::analysis {
namespace {

using Out = std::back_insert_iterator<std::string>;
constexpr std::string_view kLine = "======================================================";
constexpr std::string_view kThin = "------------------------------------------------------";

std::string link_text(const ChainLink& link) {
  std::string text = link.instance;
  if (link.mode != HoldMode::kExclusive && link.trylock) {
    return text + " (read, try)";
  }
  return link.mode == HoldMode::kExclusive ? text : text + " (read)";
}

class TextReport {
 public:
  TextReport(const LockdepReport& report, std::string& text)
      : report_(report), out_(std::back_inserter(text)) {}

  void write(std::string_view title);

 private:
  void summary(std::string_view title);
  void verdict();
  void heading(std::string_view title);
  void findings(bool seen_by_lockdep);
  void finding(const Finding& f, std::size_t number);
  void hazards_of(const Finding& f);
  void recursion(const Finding& f);
  void circular(const Finding& f);
  void bad_release(const Finding& f);
  void held_at_exit(const Finding& f, bool lock);
  void instance_order(const Finding& f);
  void blocked(const Finding& f);
  void scenario(const Finding& f);
  void notes();
  // "detach dev=0 (operation 3 of run two-ioas, thread t1)"
  [[nodiscard]] std::string who(const Witness& w) const;
  void call_path(const Witness& w);
  [[nodiscard]] std::string take(const ChainLink& link, std::string_view name) const;
  [[nodiscard]] std::string label(const ChainLink& link) const {
    return report_.graph.nodes[link.node].label();
  }
  // The held lock from which the edge to the wanted one goes.
  [[nodiscard]] const ChainLink& holder(const Witness& w, std::string_view label) const;

  const LockdepReport& report_;
  Out out_;
};

std::string TextReport::who(const Witness& w) const {
  const std::string& run = report_.graph.runs[w.run].name;
  if (w.operation.empty()) {
    return fmt::format("{} (run {}, {} ps)", w.thread, run, to_ps(w.time));
  }
  return fmt::format("{} in {} (operation {} of run {})", w.thread, w.operation, w.number, run);
}

void TextReport::call_path(const Witness& w) {
  std::vector<std::string> links;
  for (const ChainLink& held : w.held) {
    links.push_back(link_text(held));
  }
  links.push_back("[" + link_text(w.wanted) + "]");
  fmt::format_to(out_, "       {}\n", fmt::join(links, " -> "));
}

const ChainLink& TextReport::holder(const Witness& w, std::string_view label_of) const {
  const auto held = std::find_if(w.held.rbegin(), w.held.rend(),
                                 [&](const ChainLink& link) { return label(link) == label_of; });
  return held == w.held.rend() ? w.wanted : *held;
}

std::string TextReport::take(const ChainLink& link, std::string_view name) const {
  const bool lock = report_.graph.nodes[link.node].lock;
  if (!lock) {
    return fmt::format("{}({});", link.mode == HoldMode::kExclusive ? "wait" : "get", name);
  }
  return fmt::format("{}({});", link.mode == HoldMode::kExclusive ? "lock" : "rlock", name);
}

void TextReport::heading(std::string_view title) {
  fmt::format_to(out_, "\n{}\n{}\n{}\n", kLine, title, kThin);
}

void TextReport::hazards_of(const Finding& f) {
  for (const std::string& name : f.hazards) {
    fmt::format_to(out_, "{}: {}\n", name, hazard_text(name));
  }
}

void TextReport::recursion(const Finding& f) {
  const Witness& w = f.witnesses.front();
  fmt::format_to(out_, "{} is trying to acquire lock:\n ({}), at:\n", who(w), f.classes.front());
  call_path(w);
  fmt::format_to(out_, "\nbut task is already holding lock:\n ({}): {}\n", f.classes.front(),
                 holder(w, f.classes.front()).instance);
  fmt::format_to(out_,
                 "\n Possible unsafe locking scenario:\n\n       CPU0\n       ----\n  {}\n  {}\n\n"
                 " *** DEADLOCK ***\n\n May be due to missing lock nesting notation\n",
                 take(holder(w, f.classes.front()), f.classes.front()),
                 take(w.wanted, f.classes.front()));
}

// Who holds what first and wants what then; the closing edge is CPU0's.
void TextReport::scenario(const Finding& f) {
  constexpr int kWidth = 34;
  const std::size_t cpus = f.witnesses.size();
  const auto line = [this](std::size_t cpu, const std::string& what) {
    fmt::format_to(out_, "  {:<{}}{}\n", "", static_cast<int>(cpu) * kWidth, what);
  };
  fmt::format_to(out_, "\n Possible unsafe locking scenario:\n\n");
  std::string head;
  std::string rule;
  for (std::size_t i = 0; i < cpus; ++i) {
    const int width = i + 1 < cpus ? kWidth : 0;
    head += fmt::format("{:<{}}", fmt::format("     CPU{}", i), width);
    rule += fmt::format("{:<{}}", "     ----", width);
  }
  fmt::format_to(out_, "  {}\n  {}\n", head, rule);
  for (std::size_t i = 0; i < cpus; ++i) {
    line(i, take(holder(f.witnesses[i], f.classes[i]), f.classes[i]));
  }
  for (std::size_t i = cpus; i-- > 0;) {
    line(i, take(f.witnesses[i].wanted, f.classes[(i + 1) % cpus]));
  }
  fmt::format_to(out_, "\n *** DEADLOCK ***\n");
}

void TextReport::circular(const Finding& f) {
  const Witness& closing = f.witnesses.front();
  if (f.witnesses.size() == 1) {  // a wait for references of a class of which it holds one
    fmt::format_to(out_, "{} is waiting for:\n ({}), at:\n", who(closing), f.classes.front());
    call_path(closing);
    fmt::format_to(out_, "\nwhile it holds a reference of that class itself: {}\n",
                   holder(closing, f.classes.front()).instance);
    return;
  }
  fmt::format_to(out_, "{} is trying to acquire lock:\n ({}), at:\n", who(closing),
                 f.classes[1 % f.classes.size()]);
  call_path(closing);
  fmt::format_to(out_, "\nbut task is already holding lock:\n ({}): {}\n", f.classes.front(),
                 holder(closing, f.classes.front()).instance);
  fmt::format_to(out_,
                 "\nwhich lock already depends on the new lock.\n\n"
                 "the existing dependency chain (in reverse order) is:\n");
  for (std::size_t i = f.witnesses.size(); i-- > 0;) {
    fmt::format_to(out_, "\n-> #{} ({}): {}\n", i, f.classes[(i + 1) % f.classes.size()],
                   who(f.witnesses[i]));
    call_path(f.witnesses[i]);
  }
  scenario(f);
}

void TextReport::bad_release(const Finding& f) {
  const Witness& w = f.witnesses.front();
  fmt::format_to(out_, "{} is trying to release lock:\n ({}) at: {}\n", who(w), f.classes.front(),
                 w.wanted.instance);
  if (w.held.empty()) {
    fmt::format_to(out_, "but there are no more locks to release!\n");
    return;
  }
  fmt::format_to(out_, "but it does not hold it; locks held:\n");
  for (const ChainLink& held : w.held) {
    fmt::format_to(out_, "  {}\n", link_text(held));
  }
}

void TextReport::held_at_exit(const Finding& f, bool lock) {
  const Witness& w = f.witnesses.front();
  fmt::format_to(out_, "{} is leaving the kernel with {} still held ({} times in all):\n  {}\n",
                 who(w), lock ? "locks" : "a reference", f.count, link_text(w.wanted));
}

void TextReport::instance_order(const Finding& f) {
  fmt::format_to(out_,
                 "Locks of class {} are taken in conflicting orders; to lockdep they are one "
                 "class:\n",
                 f.classes.front());
  for (const Witness& w : f.witnesses) {
    fmt::format_to(out_, "\n  {}:\n", who(w));
    call_path(w);
  }
  if (f.count > 1) {
    fmt::format_to(out_, "\nand {} other sets of instances, in these runs or others\n",
                   f.count - 1);
  }
  if (!f.gate.empty()) {
    fmt::format_to(out_, "\nNo hazard: {} is held exclusively each time.\n", f.gate);
  }
}

void TextReport::blocked(const Finding& f) {
  const Witness& w = f.witnesses.front();
  fmt::format_to(out_, "{} waits for {} for ever, holding:\n", who(w), link_text(w.wanted));
  for (const ChainLink& held : w.held) {
    fmt::format_to(out_, "  {}\n", link_text(held));
  }
  if (w.held.empty()) {
    fmt::format_to(out_, "  nothing\n");
  }
}

void TextReport::finding(const Finding& f, std::size_t number) {
  const auto title = [&](std::string_view text) {
    heading(fmt::format("{}. {}", number, text));
    hazards_of(f);
  };
  switch (f.kind) {
    case FindingKind::kRecursion:
      title("WARNING: possible recursive locking detected");
      return recursion(f);
    case FindingKind::kCycle:
      title("WARNING: possible circular locking dependency detected");
      return circular(f);
    case FindingKind::kBadRelease:
      title("WARNING: bad unlock balance detected!");
      return bad_release(f);
    case FindingKind::kHeldAtExit:
      title("WARNING: lock held when returning to user space!");
      return held_at_exit(f, true);
    case FindingKind::kInstanceOrder:
      title("Order of instances within one class");
      return instance_order(f);
    case FindingKind::kWaitCycle:
      title("Circular dependency through a wait for references");
      return circular(f);
    case FindingKind::kLeakedReference:
      title("Reference held when returning to user space");
      return held_at_exit(f, false);
    case FindingKind::kBlocked:
      title("It happened: a thread that waits for ever");
      return blocked(f);
  }
}

void TextReport::findings(bool seen_by_lockdep) {
  std::size_t number = 0;
  for (const Finding& f : report_.findings) {
    ++number;
    if (f.seen_by_lockdep() == seen_by_lockdep) {
      finding(f, number);
    }
  }
}

// Of each thing waited for, the longest chains only: those whose locks another row has all are left
// out.
void TextReport::notes() {
  std::map<std::pair<std::string, std::vector<std::string>>, std::set<std::string>> rows;
  for (const WaitNote& note : report_.waits) {
    rows[{note.what, note.held}].insert(note.operation.empty() ? "-" : note.operation);
  }
  if (rows.empty()) {
    return;
  }
  heading("Waits that lockdep can not see, with locks held (no hazard by themselves)");
  std::size_t left_out = 0;
  for (const auto& [row, operations] : rows) {
    const std::set<std::string> locks(row.second.begin(), row.second.end());
    const bool within = std::any_of(rows.begin(), rows.end(), [&](const auto& other) {
      const std::set<std::string> more(other.first.second.begin(), other.first.second.end());
      return other.first.first == row.first && more.size() > locks.size() &&
             std::includes(more.begin(), more.end(), locks.begin(), locks.end());
    });
    if (within) {
      ++left_out;
      continue;
    }
    fmt::format_to(out_, "{} under {} (in {})\n", row.first, fmt::join(row.second, " -> "),
                   fmt::join(operations, ", "));
  }
  if (left_out != 0) {
    fmt::format_to(out_, "and {} more under some of these locks\n", left_out);
  }
}

void TextReport::summary(std::string_view title) {
  const LockGraph& g = report_.graph;
  const auto locks =
      std::count_if(g.nodes.begin(), g.nodes.end(), [](const LockNode& n) { return n.lock; });
  const auto direct = std::count_if(g.edges.begin(), g.edges.end(), [&g](const LockEdge& e) {
    return e.direct && g.nodes[e.from].lock && g.nodes[e.to].lock;
  });
  fmt::format_to(out_, "lockdep: {}\n", title);
  fmt::format_to(out_,
                 "{} lock classes, {} direct dependencies, at most {} locks held at once; {} "
                 "events of {} run{}\n",
                 locks, direct, g.max_depth, g.events, g.runs.size(),
                 g.runs.size() == 1 ? "" : "s");
  if (g.dropped != 0) {
    fmt::format_to(out_, "The record is not whole: {} events were dropped.\n", g.dropped);
  }
}

void TextReport::verdict() {
  for (const RunInfo& run : report_.graph.runs) {
    if (!run.failure.empty()) {
      fmt::format_to(out_, "\nRun {} ended badly: {}\n", run.name, run.failure);
    }
  }
  const std::size_t count = report_.hazard_count();
  if (count == 0) {
    fmt::format_to(out_, "\nverdict: clean\n");
    return;
  }
  const std::vector<std::string> names = report_.hazards();
  fmt::format_to(out_, "\nverdict: {} hazard{}{}\n", count, count == 1 ? "" : "s",
                 names.empty() ? "" : fmt::format(" ({})", fmt::join(names, ", ")));
}

void TextReport::write(std::string_view title) {
  summary(title);
  findings(true);
  if (std::any_of(report_.findings.begin(), report_.findings.end(),
                  [](const Finding& f) { return !f.seen_by_lockdep(); })) {
    fmt::format_to(out_, "\nWhat lockdep can not see:\n");
    findings(false);
  }
  notes();
  verdict();
}

}  // namespace

std::string to_text(const LockdepReport& report, std::string_view title) {
  std::string text;
  TextReport(report, text).write(title);
  return text;
}

}  // namespace smmulab::analysis
