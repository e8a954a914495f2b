// SPDX-License-Identifier: Apache-2.0
// ParamTable: the one description of every parameter. A component owns a plain struct with defaults
// and binds its fields here with key, unit, range, text and provenance; the table then validates
// and sets values (from TOML, the command line, Python), lists them (`smmulab describe`) and writes
// the resolved configuration. It keeps pointers: the structs must outlive it and stay where they
// are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sim/time.hpp"

namespace smmulab {

// Where a value comes from: a named source (manual, kernel file and version, measurement), or
// "assumed". Conclusions that hang on assumed values can be listed.
struct Provenance {
  std::string_view text;
  [[nodiscard]] bool assumed() const { return text.substr(0, 7) == "assumed"; }
};

struct ParamInfo {
  std::string key;   // dotted: "lock.mutex_lock"
  std::string unit;  // "ps" for durations, "1" for counts, "bool", "enum"
  std::string doc;
  std::string provenance;
  std::string default_value;  // as text, canonical
  std::string minimum;
  std::string maximum;  // for an enum: the legal names, joined by '|'
};

class ParamTable {
 public:
  // Each throws ModelError on a duplicate key. Bounds are inclusive.
  void add(std::string key, Ps* value, Ps min, Ps max, std::string doc, Provenance from);
  void add(std::string key, std::uint32_t* value, std::uint32_t min, std::uint32_t max,
           std::string doc, Provenance from);
  void add(std::string key, bool* value, std::string doc, Provenance from);
  // An enum stored in a std::uint8_t-backed scoped enum; names[i] is value i.
  template <class E>
  void add_enum(std::string key, E* value, std::vector<std::string> names, std::string doc,
                Provenance from) {
    static_assert(sizeof(E) == 1);
    add_enum_raw(std::move(key), reinterpret_cast<std::uint8_t*>(value), std::move(names),
                 std::move(doc), from);
  }

  [[nodiscard]] std::vector<ParamInfo> describe() const;  // in the order of addition
  // Canonical text of the present value: "15ns" (largest unit that is exact), "64", "true", a name.
  [[nodiscard]] std::string get(std::string_view key) const;
  // Text forms: durations "15ns", "1.5us", "250ps", "4ms", "1s" (a bare number needs a unit, except
  // 0); counts "64"; bools "true"/"false"; enum names. Throws ConfigError that names the key (with
  // the nearest key when unknown), the value, and what was expected (unit, range, names).
  void set(std::string_view key, std::string_view value);
  [[nodiscard]] bool contains(std::string_view key) const;
  // Reads dotted keys or tables from TOML: [lock] mutex_lock = "15ns". Errors are
  // "FILE:LINE:COLUMN: ..." ConfigErrors. Keys below `ignored_tables` are left to the caller.
  void load_toml_file(const std::string& path, const std::vector<std::string>& ignored_tables = {});
  // All values, as canonical JSON text (keys sorted, no spaces).
  [[nodiscard]] std::string to_json() const;

 private:
  struct Count {
    std::uint32_t* value;
    std::uint32_t min, max;
  };
  struct Duration {
    Ps* value;
    Ps min, max;
  };
  struct Flag {
    bool* value;
  };
  struct Choice {
    std::uint8_t* value;
    std::vector<std::string> names;
  };
  struct Entry {
    ParamInfo info;
    std::variant<Duration, Count, Flag, Choice> slot;
  };
  void add_enum_raw(std::string key, std::uint8_t* value, std::vector<std::string> names,
                    std::string doc, Provenance from);
  void insert(Entry entry);
  [[nodiscard]] const Entry& find(std::string_view key) const;
  [[nodiscard]] const Entry* find_if_known(std::string_view key) const;  // nullptr: unknown
  [[nodiscard]] std::vector<std::string> keys() const;
  // A value as its slot's integer: ps, count, 0 or 1, index of the name. check() throws ConfigError
  // unless the slot allows the text; store() trusts it. Apart, so that a file is set wholly or not.
  [[nodiscard]] static std::int64_t check(const Entry& entry, std::string_view text);
  static void store(const Entry& entry, std::int64_t value);
  [[nodiscard]] static std::string text_of(const Entry& entry);
  class TomlReader;

  std::vector<Entry> entries_;
};

// "15ns", "1.5us", ...: the largest unit in which the value is exact with at most 3 digits after
// the point, else picoseconds.
[[nodiscard]] std::string format_duration(Ps value);
// Throws ConfigError. Accepts ps, ns, us, ms, s.
[[nodiscard]] Ps parse_duration(std::string_view text);
// The candidate with the least edit distance to `name`, or "" if none is near.
[[nodiscard]] std::string nearest_name(std::string_view name,
                                       const std::vector<std::string>& candidates);

}  // namespace smmulab
