// SPDX-License-Identifier: Apache-2.0
#include "workloads/report_text.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

using Out = std::back_insert_iterator<std::string>;
constexpr double kPsPerUs = 1e6;
constexpr double kPsPerSecond = 1e12;
constexpr std::size_t kLocksShown = 5;

double us(Ps d) {
  return static_cast<double>(d.count()) / kPsPerUs;
}
double us(std::uint64_t ps) {
  return static_cast<double>(ps) / kPsPerUs;
}

Ps total_wait(const LockResult& l) {
  return l.stat.write().waittime.total + l.stat.read().waittime.total;
}

void kinds_table(Out out, const ReplayResult& r) {
  const double span = static_cast<double>(r.main_span.count()) / kPsPerSecond;
  fmt::format_to(out, "  {:<13}{:>9}{:>11}{:>11}{:>11}{:>11}{:>8}\n", "operation", "count",
                 "p50 us", "p99 us", "p99.9 us", "max us", "errors");
  for (std::size_t i = 0; i < kOpKinds; ++i) {
    const KindResult& k = r.kinds[i];
    if (k.count != 0) {
      fmt::format_to(out, "  {:<13}{:>9}{:>11.2f}{:>11.2f}{:>11.2f}{:>11.2f}{:>8}\n",
                     op_name(static_cast<OpKind>(i)), k.count, us(k.latency.value_at_quantile(0.5)),
                     us(k.latency.value_at_quantile(0.99)), us(k.latency.value_at_quantile(0.999)),
                     us(k.latency.max()), k.errors);
    }
  }
  if (span > 0) {
    const std::uint64_t succeeded = r.main_operations - r.main_errors;
    fmt::format_to(out, "  {:.0f} successful operations/s in {} ({} in {:.1f} us{})\n",
                   static_cast<double>(succeeded) / span,
                   r.main_phase.empty() ? "the whole trace" : "phase " + r.main_phase, succeeded,
                   us(r.main_span),
                   r.main_errors == 0 ? "" : fmt::format("; {} failed", r.main_errors));
  }
}

void locks_table(Out out, const ReplayResult& r) {
  std::vector<const LockResult*> locks;
  Ps wait{0};
  Ps spin{0};  // a thread's is more: it spins for a CMD_SYNC, too
  for (const LockResult& l : r.locks) {
    wait += total_wait(l);
    spin += l.stat.write().wait_spin + l.stat.read().wait_spin;
    if (total_wait(l) > Ps{0}) {
      locks.push_back(&l);
    }
  }
  std::stable_sort(locks.begin(), locks.end(), [](const LockResult* a, const LockResult* b) {
    return total_wait(*a) > total_wait(*b);
  });
  fmt::format_to(out, "  {:<18}{:>10}{:>14}{:>14}{:>14}\n", "lock class", "contended",
                 "total wait us", "max wait us", "spinning us");
  for (std::size_t i = 0; i < std::min(locks.size(), kLocksShown); ++i) {
    const LockModeStat& w = locks[i]->stat.write();
    const LockModeStat& rd = locks[i]->stat.read();
    fmt::format_to(out, "  {:<18}{:>10}{:>14.2f}{:>14.2f}{:>14.2f}\n", locks[i]->name,
                   w.contentions + rd.contentions, us(total_wait(*locks[i])),
                   us(std::max(w.waittime.max, rd.waittime.max)), us(w.wait_spin + rd.wait_spin));
  }
  fmt::format_to(out, "  all locks: {:.2f} us of waiting; {:.2f} us of CPU time spent spinning\n",
                 us(wait), us(spin));
}

// The message has the first one, unless a deadlock came later.
void broken_lines(Out out, const ReplayResult& r) {
  for (std::size_t i = r.status == "deadlock" ? 0 : 1; i < r.broken_invariants.size(); ++i) {
    fmt::format_to(out, "  also broken: {}: {}\n", r.broken_invariants[i].invariant,
                   r.broken_invariants[i].detail);
  }
}

void dark_lines(Out out, const ReplayResult& r) {
  Ps total{0};
  Ps worst{0};
  std::uint64_t replaces = 0;
  for (const DeviceResult& d : r.devices) {
    total += d.replace_dark;
    worst = std::max(worst, d.replace_dark_max);
    replaces += d.replaces;
  }
  if (replaces != 0) {
    fmt::format_to(out, "  DMA dark per replace: {:.2f} us mean, {:.2f} us max ({} replaces)\n",
                   us(total) / static_cast<double>(replaces), us(worst), replaces);
  }
  for (const DeviceResult& d : r.devices) {
    if (d.dma) {
      const smmu::timed::StreamStats& s = d.dma->stream;
      fmt::format_to(
          out,
          "  DMA of {}: {:.2f} GB/s, translation p50 {:.3f} p99 {:.3f} us, {} aborted, {} "
          "faulted; dark {} times, {:.2f} us in all, {:.2f} us at most; old translation "
          "used up to {:.2f} us after an unmap\n",
          d.name, s.bytes_per_second() / 1e9, us(s.translation.value_at_quantile(0.5)),
          us(s.translation.value_at_quantile(0.99)), s.aborted, s.faulted, s.dark_windows,
          us(s.dark_total), us(s.dark_max), us(d.dma->unmaps.last_max));
    }
  }
}

}  // namespace

std::string to_text(const ReplayResult& r) {
  std::string text;
  const Out out = std::back_inserter(text);
  fmt::format_to(out, "{}: {}\n", r.protocol, r.status);
  if (!r.message.empty()) {
    fmt::format_to(out, "  {}\n", r.message);
  }
  broken_lines(out, r);
  kinds_table(out, r);
  locks_table(out, r);
  dark_lines(out, r);
  return text;
}

}  // namespace smmulab::workloads
