// SPDX-License-Identifier: Apache-2.0
// StatRegistry: where components declare their statistics, each in one line:
//   Declared<Counter> hits_{stats, "hits", Unit::kCount, "main TLB hits"};
// with stats a StatScope, the component's path. A snapshot copies all values, in the order of
// declaration; snapshots merge, subtract and compare as their statistics do (sim/stats.hpp), and
// unfold into tidy rows (component, stat, kind, unit, value).
//
// Not here: derived ratios (worked out from the rows, not stored), a run's id (added by who writes
// the rows), statistics that appear while a run goes on in one snapshot but not in the other:
// snapshots merge and subtract only if they list the same statistics.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/histogram.hpp"
#include "sim/lock_stat.hpp"
#include "sim/stats.hpp"
#include "sim/time.hpp"

namespace smmulab {

enum class Unit : std::uint8_t { kCount, kPs, kBytes, kPages };
enum class StatKind : std::uint8_t { kCounter, kGauge, kHistogram, kLock };

[[nodiscard]] std::string_view to_string(Unit unit);      // "count", "ps", "bytes", "pages"
[[nodiscard]] std::string_view to_string(StatKind kind);  // "counter", "gauge", "histogram", "lock"

struct StatInfo {
  std::string component;  // path, parts joined by '/'
  std::string name;
  Unit unit = Unit::kCount;
  std::string doc;
  friend bool operator==(const StatInfo&, const StatInfo&) = default;
};

// One number of a statistic. A lock's row has its column appended to the name
// ("wait.write.contentions"), so does a gauge's ("depth.mean") and a histogram's ("latency.p99").
struct StatRow {
  using Value = std::variant<std::int64_t, std::uint64_t, double>;
  std::string component;
  std::string stat;
  StatKind kind;
  Unit unit;
  Value value;
  friend bool operator==(const StatRow&, const StatRow&) = default;
};

class StatSnapshot {
 public:
  // In the order of StatKind.
  using Value = std::variant<Counter, GaugeWindow, Histogram, LockStat>;
  struct Entry {
    std::shared_ptr<const StatInfo> info;
    Value value;
    [[nodiscard]] StatKind kind() const { return static_cast<StatKind>(value.index()); }
  };

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  // Null: no such statistic.
  [[nodiscard]] const Value* find(std::string_view component, std::string_view name) const;
  [[nodiscard]] std::vector<StatRow> rows() const;

  // REQUIRES: both list the same statistics (ModelError otherwise).
  StatSnapshot& operator+=(const StatSnapshot& other);
  StatSnapshot& operator-=(const StatSnapshot& begin);
  friend bool operator==(const StatSnapshot& a, const StatSnapshot& b);

  void append(Entry entry) { entries_.push_back(std::move(entry)); }

 private:
  void require_same_list(const StatSnapshot& other) const;
  std::vector<Entry> entries_;
};

template <>
inline constexpr bool kIsStatistic<StatSnapshot> = true;

class StatRegistry {
 public:
  // A statistic that is read at each snapshot; in the order of StatKind.
  using Source = std::variant<const Counter*, const Gauge*, const Histogram*, const LockStat*>;

  StatRegistry() = default;
  StatRegistry(const StatRegistry&) = delete;  // Declared statistics point here
  StatRegistry& operator=(const StatRegistry&) = delete;
  ~StatRegistry() = default;

  // Gives the number to remove() it by. The source must stay where it is until then. Throws
  // ModelError if the component has a statistic of that name.
  std::size_t add(StatInfo info, Source source);
  void remove(std::size_t number);
  [[nodiscard]] StatSnapshot snapshot(SimTime now) const;
  [[nodiscard]] std::vector<StatInfo> describe() const;

 private:
  struct Slot {
    std::shared_ptr<const StatInfo> info;  // null: removed
    Source source;
  };
  std::vector<Slot> slots_;
  std::set<std::pair<std::string, std::string>> names_;
};

// A registry and a component's path in it.
class StatScope {
 public:
  explicit StatScope(StatRegistry& registry, std::string path = {})
      : registry_(&registry), path_(std::move(path)) {}
  [[nodiscard]] StatScope child(std::string_view name) const;
  [[nodiscard]] StatRegistry& registry() const { return *registry_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  StatRegistry* registry_;
  std::string path_;
};

// A statistic (Counter, Gauge, Histogram, LockStat) that is listed in a registry while it lives.
// Copying one gives the plain value: Counter before = hits_. REQUIRES: the registry outlives it.
template <class T>
class Declared : public T {
 public:
  template <class... Args>
  Declared(const StatScope& scope, std::string_view name, Unit unit, std::string_view doc,
           Args&&... args)
      : T(std::forward<Args>(args)...),
        registry_(&scope.registry()),
        number_(registry_->add({scope.path(), std::string(name), unit, std::string(doc)},
                               static_cast<const T*>(this))) {}
  Declared(const Declared&) = delete;
  Declared& operator=(const Declared&) = delete;
  ~Declared() { registry_->remove(number_); }

 private:
  StatRegistry* registry_;
  std::size_t number_;
};

}  // namespace smmulab
