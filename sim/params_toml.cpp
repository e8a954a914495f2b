// SPDX-License-Identifier: Apache-2.0
// ParamTable::load_toml_file. The one source that includes toml++, because that header is heavy.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "sim/error.hpp"
#include "sim/params.hpp"

namespace smmulab {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

[[noreturn]] void unreadable(const std::string& path, int error) {
  throw ConfigError(
      fmt::format("{}: cannot be read: {}", path, std::generic_category().message(error)));
}

std::string read_whole_file(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) {
    unreadable(path, errno);
  }
  std::string text;
  std::array<char, 4096> block{};
  while (const std::size_t n = std::fread(block.data(), 1, block.size(), file.get())) {
    text.append(block.data(), n);
  }
  if (std::ferror(file.get()) != 0) {
    unreadable(path, errno);
  }
  return text;
}

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return fmt::format("the string \"{}\"", node.ref<std::string>());
    case toml::node_type::integer:
      return fmt::format("the integer {}", node.ref<std::int64_t>());
    case toml::node_type::floating_point:
      return fmt::format("the float {}", node.ref<double>());
    case toml::node_type::boolean:
      return node.ref<bool>() ? "the boolean true" : "the boolean false";
    default:
      return "a date or time";
  }
}

std::string first_part(std::string_view key) {
  return std::string(key.substr(0, key.find('.')));
}

// `key` is `table` or lies below it.
bool lies_in(std::string_view key, std::string_view table) {
  return key.starts_with(table) && (key.size() == table.size() || key[table.size()] == '.');
}

}  // namespace

// One file on its way into a table: nothing is stored before all of it is checked.
class ParamTable::TomlReader {
 public:
  TomlReader(const ParamTable& table, const std::string& path,
             const std::vector<std::string>& ignored)
      : table_(table), path_(path), ignored_(ignored) {}

  void read() {
    const std::string text = read_whole_file(path_);
    toml::table root;
    try {
      root = toml::parse(text, path_);
    } catch (const toml::parse_error& e) {
      fail(e.source().begin, e.description());
    }
    collect("", root);
    // In the order of the file, so that the first mistake is the one reported.
    std::sort(leaves_.begin(), leaves_.end(), [](const Leaf& a, const Leaf& b) {
      return std::tie(a.at.line, a.at.column) < std::tie(b.at.line, b.at.column);
    });
    std::map<const Entry*, toml::source_position> seen;
    for (const Leaf& leaf : leaves_) {
      const Entry& entry = entry_of(leaf);
      if (const auto [before, fresh] = seen.emplace(&entry, leaf.at); !fresh) {
        fail(leaf.at, fmt::format("parameter '{}' is set twice: before at line {}", leaf.key,
                                  before->second.line));
      }
      values_.emplace_back(&entry, value_of(entry, *leaf.node));
    }
  }

  void store_all() const {
    for (const auto& [entry, value] : values_) {
      store(*entry, value);
    }
  }

 private:
  struct Leaf {
    std::string key;
    toml::source_position at;  // of the key
    const toml::node* node;
  };

  [[noreturn]] void fail(toml::source_position at, std::string_view message) const {
    throw ConfigError(fmt::format("{}:{}:{}: {}", path_, at.line, at.column, message));
  }

  // Everything that is no table of parameters becomes a leaf; an unknown empty table does, too.
  void collect(const std::string& prefix, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (std::any_of(ignored_.begin(), ignored_.end(),
                      [&key](const std::string& t) { return lies_in(key, t); })) {
        continue;
      }
      const toml::table* const inner = node.as_table();
      const bool open = inner != nullptr && !table_.contains(key);
      if (open && (!inner->empty() || is_prefix(key))) {
        collect(key + ".", *inner);
      } else {
        leaves_.push_back({key, name.source().begin, &node});
      }
    }
  }

  [[nodiscard]] bool is_prefix(std::string_view key) const {
    const auto below = [key](const std::string& longer) { return lies_in(longer, key); };
    return std::any_of(table_.entries_.begin(), table_.entries_.end(),
                       [&](const Entry& entry) { return below(entry.info.key); }) ||
           std::any_of(ignored_.begin(), ignored_.end(), below);
  }

  [[nodiscard]] const Entry& entry_of(const Leaf& leaf) const {
    if (is_prefix(leaf.key) && !table_.contains(leaf.key)) {
      fail(leaf.at,
           fmt::format("'{}' is a table of parameters, got {}", leaf.key, kind_of(*leaf.node)));
    }
    try {
      return table_.find(leaf.key);
    } catch (const ConfigError& e) {
      fail(leaf.at, e.what() + table_hint(leaf.key));
    }
  }

  // A misspelt table of the caller's own: its keys are near to none of ours.
  [[nodiscard]] std::string table_hint(std::string_view key) const {
    std::vector<std::string> tables;
    for (const std::string& ignored : ignored_) {
      tables.push_back(first_part(ignored));
    }
    const std::string nearest = nearest_name(first_part(key), tables);
    return nearest.empty() ? "" : fmt::format("; there is a table '{}'", nearest);
  }

  // What ParamTable::check() takes for it; none: the wrong type. Exact types only: 1.0 is no count.
  using Text = std::optional<std::string>;
  static Text text_for(const Duration& /*slot*/, const toml::node& node) {
    return node.value_exact<std::int64_t>() == 0 ? "0" : node.value_exact<std::string>();
  }
  static Text text_for(const Count& /*slot*/, const toml::node& node) {
    const auto value = node.value_exact<std::int64_t>();
    return value ? Text(std::to_string(*value)) : std::nullopt;
  }
  static Text text_for(const Flag& /*slot*/, const toml::node& node) {
    const auto value = node.value_exact<bool>();
    return value ? Text(*value ? "true" : "false") : std::nullopt;
  }
  static Text text_for(const Choice& /*slot*/, const toml::node& node) {
    return node.value_exact<std::string>();
  }
  static std::string expected(const Entry& entry) {
    constexpr std::array<std::string_view, 4> kTypes{
        "a duration as a string with a unit, such as \"15ns\"", "a count (an integer)",
        "true or false", "a name as a string"};
    const bool named = std::holds_alternative<Choice>(entry.slot);
    return std::string(kTypes.at(entry.slot.index())) +
           (named ? fmt::format(", one of {}", entry.info.maximum) : "");
  }

  [[nodiscard]] std::int64_t value_of(const Entry& entry, const toml::node& node) const {
    const Text text =
        std::visit([&](const auto& slot) { return text_for(slot, node); }, entry.slot);
    if (!text) {
      fail(node.source().begin, fmt::format("parameter '{}': expected {}, got {}", entry.info.key,
                                            expected(entry), kind_of(node)));
    }
    try {
      return check(entry, *text);
    } catch (const ConfigError& e) {
      fail(node.source().begin, e.what());
    }
  }

  const ParamTable& table_;
  const std::string& path_;
  const std::vector<std::string>& ignored_;
  std::vector<Leaf> leaves_;
  std::vector<std::pair<const Entry*, std::int64_t>> values_;
};

void ParamTable::load_toml_file(const std::string& path,
                                const std::vector<std::string>& ignored_tables) {
  TomlReader reader(*this, path, ignored_tables);
  reader.read();
  reader.store_all();
}

}  // namespace smmulab
