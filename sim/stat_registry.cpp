// SPDX-License-Identifier: Apache-2.0
#include "sim/stat_registry.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "sim/check.hpp"

namespace smmulab {
namespace {

// Appends the rows of one statistic; `add` appends one of them.
class RowWriter {
 public:
  RowWriter(const StatSnapshot::Entry& entry, std::vector<StatRow>& rows)
      : entry_(entry), rows_(rows) {}

  void operator()(const Counter& c) { add("", c.value()); }

  void operator()(const GaugeWindow& g) {
    add(".mean", g.mean());
    add(".min", g.min);
    add(".max", g.max);
    add(".last", g.last);
    add(".observed", g.observed);
  }

  void operator()(const Histogram& h) {
    add(".count", h.count(), Unit::kCount);
    if (h.sum() <= std::numeric_limits<std::uint64_t>::max()) {
      add(".sum", static_cast<std::uint64_t>(h.sum()));
    } else {
      add(".sum", static_cast<double>(h.sum()));
    }
    add(".min", h.min());
    add(".max", h.max());
    add(".p50", h.value_at_quantile(0.5));
    add(".p90", h.value_at_quantile(0.9));
    add(".p99", h.value_at_quantile(0.99));
    add(".p999", h.value_at_quantile(0.999));
  }

  // Like /proc/lock_stat, a mode that was never used has no line.
  void operator()(const LockStat& lock) {
    if (lock.write() != LockModeStat{}) {
      add_mode(".write", lock.write());
    }
    if (lock.read() != LockModeStat{}) {
      add_mode(".read", lock.read());
    }
  }

 private:
  void add_mode(const std::string& mode, const LockModeStat& m) {
    add(mode + ".con_bounces", m.con_bounces, Unit::kCount);
    add(mode + ".contentions", m.contentions, Unit::kCount);
    add(mode + ".waittime_min", m.waittime.min);
    add(mode + ".waittime_max", m.waittime.max);
    add(mode + ".waittime_total", m.waittime.total);
    add(mode + ".waittime_avg", m.waittime.avg());
    add(mode + ".wait_spin", m.wait_spin);
    add(mode + ".wait_sleep", m.wait_sleep());
    add(mode + ".acq_bounces", m.acq_bounces, Unit::kCount);
    add(mode + ".acquisitions", m.acquisitions, Unit::kCount);
    add(mode + ".holdtime_min", m.holdtime.min);
    add(mode + ".holdtime_max", m.holdtime.max);
    add(mode + ".holdtime_total", m.holdtime.total);
    add(mode + ".holdtime_avg", m.holdtime.avg());
  }
  void add(const std::string& column, StatRow::Value value) {
    add(column, value, entry_.info->unit);
  }
  void add(const std::string& column, Ps value) {
    add(column, std::int64_t{value.count()}, Unit::kPs);
  }
  void add(const std::string& column, StatRow::Value value, Unit unit) {
    rows_.push_back(
        {entry_.info->component, entry_.info->name + column, entry_.kind(), unit, value});
  }

  const StatSnapshot::Entry& entry_;
  std::vector<StatRow>& rows_;
};

StatSnapshot::Value read(const StatRegistry::Source& source, SimTime now) {
  return std::visit(
      [now](const auto* stat) -> StatSnapshot::Value {
        if constexpr (std::is_same_v<decltype(stat), const Gauge*>) {
          return stat->at(now);
        } else {
          return *stat;
        }
      },
      source);
}

}  // namespace

std::string_view to_string(Unit unit) {
  switch (unit) {
    case Unit::kCount:
      return "count";
    case Unit::kPs:
      return "ps";
    case Unit::kBytes:
      return "bytes";
    case Unit::kPages:
      return "pages";
  }
  return "";
}

std::string_view to_string(StatKind kind) {
  switch (kind) {
    case StatKind::kCounter:
      return "counter";
    case StatKind::kGauge:
      return "gauge";
    case StatKind::kHistogram:
      return "histogram";
    case StatKind::kLock:
      return "lock";
  }
  return "";
}

const StatSnapshot::Value* StatSnapshot::find(std::string_view component,
                                              std::string_view name) const {
  const auto it = std::ranges::find_if(entries_, [&](const Entry& e) {
    return e.info->component == component && e.info->name == name;
  });
  return it == entries_.end() ? nullptr : &it->value;
}

std::vector<StatRow> StatSnapshot::rows() const {
  std::vector<StatRow> rows;
  for (const Entry& entry : entries_) {
    std::visit(RowWriter(entry, rows), entry.value);
  }
  return rows;
}

void StatSnapshot::require_same_list(const StatSnapshot& other) const {
  const bool same = std::ranges::equal(
      entries_, other.entries_,
      [](const Entry& a, const Entry& b) { return *a.info == *b.info && a.kind() == b.kind(); });
  SMMULAB_CHECK(same, "the two snapshots do not list the same statistics");
}

StatSnapshot& StatSnapshot::operator+=(const StatSnapshot& other) {
  require_same_list(other);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::visit(
        [&](auto& mine) {
          mine += std::get<std::decay_t<decltype(mine)>>(other.entries_[i].value);
        },
        entries_[i].value);
  }
  return *this;
}

StatSnapshot& StatSnapshot::operator-=(const StatSnapshot& begin) {
  require_same_list(begin);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    std::visit(
        [&](auto& mine) {
          mine -= std::get<std::decay_t<decltype(mine)>>(begin.entries_[i].value);
        },
        entries_[i].value);
  }
  return *this;
}

bool operator==(const StatSnapshot& a, const StatSnapshot& b) {
  return std::ranges::equal(a.entries_, b.entries_,
                            [](const StatSnapshot::Entry& x, const StatSnapshot::Entry& y) {
                              return *x.info == *y.info && x.value == y.value;
                            });
}

std::size_t StatRegistry::add(StatInfo info, Source source) {
  SMMULAB_CHECK(names_.emplace(info.component, info.name).second,
                "statistic declared twice: " + info.component + "/" + info.name);
  slots_.push_back({std::make_shared<const StatInfo>(std::move(info)), source});
  return slots_.size() - 1;
}

void StatRegistry::remove(std::size_t number) {
  Slot& slot = slots_.at(number);
  names_.erase({slot.info->component, slot.info->name});
  slot.info = nullptr;
}

StatSnapshot StatRegistry::snapshot(SimTime now) const {
  StatSnapshot snapshot;
  for (const Slot& slot : slots_) {
    if (slot.info) {
      snapshot.append({slot.info, read(slot.source, now)});
    }
  }
  return snapshot;
}

std::vector<StatInfo> StatRegistry::describe() const {
  std::vector<StatInfo> list;
  for (const Slot& slot : slots_) {
    if (slot.info) {
      list.push_back(*slot.info);
    }
  }
  return list;
}

StatScope StatScope::child(std::string_view name) const {
  std::string path = path_;
  if (!path.empty()) {
    path += '/';
  }
  path += name;
  return StatScope(*registry_, std::move(path));
}

}  // namespace smmulab
