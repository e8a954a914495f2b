// SPDX-License-Identifier: Apache-2.0
#include "sim/params.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/check.hpp"
#include "sim/error.hpp"

namespace smmulab {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::string did_you_mean(const std::string& nearest) {
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

[[noreturn]] void fail(const ParamInfo& info, std::string_view what) {
  throw ConfigError(fmt::format("parameter '{}': {}", info.key, what));
}

std::int64_t within(const ParamInfo& info, std::string_view text, std::string_view kind,
                    std::int64_t value, std::int64_t min, std::int64_t max) {
  if (value < min || value > max) {
    fail(info, fmt::format("'{}' is out of range: expected {} from {} to {}", text, kind,
                           info.minimum, info.maximum));
  }
  return value;
}

std::int64_t check_duration(const ParamInfo& info, std::string_view text, Ps min, Ps max) {
  Ps value{};
  try {
    value = parse_duration(text);
  } catch (const ConfigError& e) {
    fail(info, e.what());
  }
  return within(info, text, "a duration", value.count(), min.count(), max.count());
}

std::int64_t check_count(const ParamInfo& info, std::string_view text, std::uint32_t min,
                         std::uint32_t max) {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (at != end || error == std::errc::invalid_argument) {
    fail(info, fmt::format("'{}' is no count: expected an integer from {} to {}", text,
                           info.minimum, info.maximum));
  }
  if (error != std::errc{}) {  // does not fit 64 bits: outside any range
    value = std::numeric_limits<std::int64_t>::max();
  }
  return within(info, text, "a count (an integer)", value, min, max);
}

std::int64_t check_flag(const ParamInfo& info, std::string_view text) {
  if (text != "true" && text != "false") {
    fail(info, fmt::format("'{}' is no truth value: expected true or false", text));
  }
  return text == "true" ? 1 : 0;
}

std::int64_t check_choice(const ParamInfo& info, std::string_view text,
                          const std::vector<std::string>& names) {
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) {
    fail(info, fmt::format("'{}' is no value of it: expected one of {}{}", text, info.maximum,
                           did_you_mean(nearest_name(text, names))));
  }
  return it - names.begin();
}

}  // namespace

void ParamTable::insert(Entry entry) {
  const std::string& key = entry.info.key;
  SMMULAB_CHECK(!key.empty(), "parameter with an empty key");
  SMMULAB_CHECK(!contains(key), fmt::format("parameter '{}' is added twice", key));
  entries_.push_back(std::move(entry));
}

void ParamTable::add(std::string key, Ps* value, Ps min, Ps max, std::string doc, Provenance from) {
  SMMULAB_CHECK(min <= *value && *value <= max,
                fmt::format("parameter '{}': the default {} is outside its own range", key,
                            format_duration(*value)));
  insert({{std::move(key), "ps", std::move(doc), std::string(from.text), format_duration(*value),
           format_duration(min), format_duration(max)},
          Duration{value, min, max}});
}

void ParamTable::add(std::string key, std::uint32_t* value, std::uint32_t min, std::uint32_t max,
                     std::string doc, Provenance from) {
  SMMULAB_CHECK(
      min <= *value && *value <= max,
      fmt::format("parameter '{}': the default {} is outside its own range", key, *value));
  insert({{std::move(key), "1", std::move(doc), std::string(from.text), std::to_string(*value),
           std::to_string(min), std::to_string(max)},
          Count{value, min, max}});
}

void ParamTable::add(std::string key, bool* value, std::string doc, Provenance from) {
  insert({{std::move(key), "bool", std::move(doc), std::string(from.text),
           *value ? "true" : "false", "false", "true"},
          Flag{value}});
}

void ParamTable::add_enum_raw(std::string key, std::uint8_t* value, std::vector<std::string> names,
                              std::string doc, Provenance from) {
  SMMULAB_CHECK(*value < names.size() && names.size() <= 256,
                fmt::format("parameter '{}': the default {} has no name", key, *value));
  insert({{std::move(key), "enum", std::move(doc), std::string(from.text), names[*value], "",
           fmt::format("{}", fmt::join(names, "|"))},
          Choice{value, std::move(names)}});
}

std::vector<ParamInfo> ParamTable::describe() const {
  std::vector<ParamInfo> infos;
  infos.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    infos.push_back(entry.info);
  }
  return infos;
}

std::vector<std::string> ParamTable::keys() const {
  std::vector<std::string> keys;
  keys.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    keys.push_back(entry.info.key);
  }
  return keys;
}

const ParamTable::Entry* ParamTable::find_if_known(std::string_view key) const {
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [key](const Entry& entry) { return entry.info.key == key; });
  return it != entries_.end() ? &*it : nullptr;
}

bool ParamTable::contains(std::string_view key) const {
  return find_if_known(key) != nullptr;
}

const ParamTable::Entry& ParamTable::find(std::string_view key) const {
  if (const Entry* entry = find_if_known(key)) {
    return *entry;
  }
  std::string nearest = nearest_name(key, keys());
  for (const Entry& entry : entries_) {  // the table is missing: "mutex_lock"
    if (nearest.empty() && !key.empty() && entry.info.key.ends_with(fmt::format(".{}", key))) {
      nearest = entry.info.key;
    }
  }
  throw ConfigError(fmt::format("unknown parameter '{}'{}", key, did_you_mean(nearest)));
}

std::int64_t ParamTable::check(const Entry& entry, std::string_view text) {
  const ParamInfo& info = entry.info;
  return std::visit(
      Overloaded{[&](const Duration& s) { return check_duration(info, text, s.min, s.max); },
                 [&](const Count& s) { return check_count(info, text, s.min, s.max); },
                 [&](const Flag&) { return check_flag(info, text); },
                 [&](const Choice& s) { return check_choice(info, text, s.names); }},
      entry.slot);
}

void ParamTable::store(const Entry& entry, std::int64_t value) {
  std::visit(Overloaded{[&](const Duration& s) { *s.value = Ps{value}; },
                        [&](const Count& s) { *s.value = static_cast<std::uint32_t>(value); },
                        [&](const Flag& s) { *s.value = value != 0; },
                        [&](const Choice& s) { *s.value = static_cast<std::uint8_t>(value); }},
             entry.slot);
}

std::string ParamTable::text_of(const Entry& entry) {
  return std::visit(
      Overloaded{[](const Duration& s) { return format_duration(*s.value); },
                 [](const Count& s) { return std::to_string(*s.value); },
                 [](const Flag& s) { return std::string(*s.value ? "true" : "false"); },
                 [](const Choice& s) { return s.names.at(*s.value); }},
      entry.slot);
}

std::string ParamTable::get(std::string_view key) const {
  return text_of(find(key));
}

void ParamTable::set(std::string_view key, std::string_view value) {
  const Entry& entry = find(key);
  store(entry, check(entry, value));
}

std::string ParamTable::to_json() const {
  nlohmann::json object = nlohmann::json::object();  // a std::map inside: sorted by key
  for (const Entry& entry : entries_) {
    nlohmann::json& value = object[entry.info.key];
    if (const auto* count = std::get_if<Count>(&entry.slot)) {
      value = *count->value;
    } else if (const auto* flag = std::get_if<Flag>(&entry.slot)) {
      value = *flag->value;
    } else {
      value = text_of(entry);
    }
  }
  return object.dump();
}

}  // namespace smmulab
