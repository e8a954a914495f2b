// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/read_toml.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "models/pcie/acs_text.hpp"
#include "sim/error.hpp"
#include "sim/params.hpp"

namespace smmulab::pcie {
namespace {

// A table whose keys are asked for one by one; done() finds the ones that nobody asked for.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& source) : table_(table), source_(source) {}

  [[noreturn]] void fail(const toml::node& at, const std::string& message) const {
    const toml::source_position where = at.source().begin;
    throw ConfigError(fmt::format("{}:{}:{}: {}", source_, where.line, where.column, message));
  }
  [[noreturn]] void fail(const std::string& message) const { fail(table_, message); }

  const toml::node* find(const char* key) {
    known_.emplace_back(key);
    return table_.get(key);
  }
  std::optional<std::string> text(const char* key) {
    const toml::node* node = find(key);
    return node == nullptr ? std::nullopt : std::optional(text_of(key, *node));
  }
  bool flag(const char* key) {
    const toml::node* node = find(key);
    const auto value = node == nullptr ? std::optional(false) : node->value_exact<bool>();
    if (!value) {
      fail(*node, fmt::format("{}: expected true or false", key));
    }
    return *value;
  }
  std::optional<std::uint32_t> number(const char* key, std::uint32_t least, std::uint32_t most) {
    const toml::node* node = find(key);
    if (node == nullptr) {
      return std::nullopt;
    }
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < least || *value > most) {
      fail(*node, fmt::format("{}: expected a whole number from {:#x} to {:#x}", key, least, most));
    }
    return static_cast<std::uint32_t>(*value);
  }
  std::vector<const toml::node*> list(const char* key) {
    const toml::node* node = find(key);
    std::vector<const toml::node*> items;
    if (node != nullptr) {
      if (!node->is_array()) {
        fail(*node, fmt::format("{}: expected a list", key));
      }
      for (const toml::node& item : *node->as_array()) {
        items.push_back(&item);
      }
    }
    return items;
  }
  std::vector<Reader> tables(const char* key) {
    std::vector<Reader> found;
    for (const toml::node* item : list(key)) {
      if (!item->is_table()) {
        fail(*item, fmt::format("{}: expected tables, [[{}]]", key, key));
      }
      found.emplace_back(*item->as_table(), source_);
    }
    return found;
  }
  [[nodiscard]] std::string text_of(const char* key, const toml::node& node) const {
    const auto value = node.value_exact<std::string>();
    if (!value) {
      fail(node, fmt::format("{}: expected a string", key));
    }
    return *value;
  }
  void done() const {
    for (const auto& [key, node] : table_) {
      if (std::find(known_.begin(), known_.end(), key.str()) == known_.end()) {
        const std::string near = nearest_name(key.str(), known_);
        const toml::source_position where = key.source().begin;
        throw ConfigError(
            fmt::format("{}:{}:{}: unknown key '{}'{}", source_, where.line, where.column,
                        key.str(), near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
      }
    }
  }
  [[nodiscard]] const toml::table& table() const { return table_; }
  [[nodiscard]] std::size_t line() const { return table_.source().begin.line; }

 private:
  const toml::table& table_;
  const std::string& source_;
  std::vector<std::string> known_;
};

constexpr std::uint32_t kMax32 = std::numeric_limits<std::int32_t>::max();

Address address_of(const Reader& reader, const char* key, const toml::node& node) {
  const auto address = parse_address(reader.text_of(key, node));
  if (!address) {
    reader.fail(node, fmt::format("{}: expected a PCI address such as \"0000:01:00.0\"", key));
  }
  return *address;
}

Type type_of(Reader& reader) {
  const toml::node* node = reader.find("type");
  if (node == nullptr) {
    reader.fail(fmt::format("type is missing: one of {}", fmt::join(type_names(), ", ")));
  }
  const std::string name = reader.text_of("type", *node);
  const auto type = type_named(name);
  if (!type) {
    reader.fail(*node,
                fmt::format("type: '{}' is none of {}", name, fmt::join(type_names(), ", ")));
  }
  return *type;
}

std::optional<Bridge> bridge_of(Reader& reader, Type type) {
  const auto secondary = reader.number("bus", 1, 255);
  const auto subordinate = reader.number("subordinate", 1, 255);
  const bool hotplug = reader.flag("hotplug");
  if (!secondary) {
    const bool always = type == Type::kRootPort || type == Type::kUpstreamPort ||
                        type == Type::kDownstreamPort || type == Type::kPcieToPciBridge ||
                        type == Type::kPciToPcieBridge;
    if (always || subordinate || hotplug) {
      reader.fail(fmt::format("bus is missing: the number of the bus behind this {}",
                              always ? name_of(type) : "bridge"));
    }
    return std::nullopt;
  }
  return Bridge{static_cast<std::uint8_t>(*secondary),
                static_cast<std::uint8_t>(subordinate.value_or(*secondary)), hotplug};
}

std::optional<Acs> acs_of(Reader& reader) {
  const toml::node* node = reader.find("acs");
  if (node == nullptr) {
    return std::nullopt;
  }
  const auto acs = parse_acs(reader.text_of("acs", *node));
  if (!acs) {
    reader.fail(*node,
                "acs: expected flags SV TB RR CR UF EC DT, each with + (enabled) or - "
                "(capable only), such as \"SV+ RR+ CR+ UF-\"");
  }
  return acs;
}

std::optional<Sriov> sriov_of(Reader& reader, const std::string& source) {
  const toml::node* node = reader.find("sriov");
  if (node == nullptr) {
    return std::nullopt;
  }
  if (!node->is_table()) {
    reader.fail(*node, "sriov: expected a table, { vfs = 4, offset = 128, stride = 1 }");
  }
  Reader inner(*node->as_table(), source);
  Sriov sriov;
  sriov.vfs = static_cast<std::uint16_t>(inner.number("vfs", 0, 0xffff).value_or(0));
  sriov.offset = static_cast<std::uint16_t>(inner.number("offset", 1, 0xffff).value_or(0));
  sriov.stride = static_cast<std::uint16_t>(inner.number("stride", 1, 0xffff).value_or(0));
  inner.done();
  return sriov;
}

Function function_of(Reader& reader, const std::string& source) {
  Function f;
  const toml::node* const address = reader.find("address");
  if (address == nullptr) {
    reader.fail("address is missing: a PCI address such as \"0000:01:00.0\"");
  }
  f.address = address_of(reader, "address", *address);
  f.line = address->source().begin.line;
  f.type = type_of(reader);
  f.name = reader.text("name").value_or("");
  f.vendor = static_cast<std::uint16_t>(reader.number("vendor", 0, 0xffff).value_or(0));
  f.device = static_cast<std::uint16_t>(reader.number("device", 0, 0xffff).value_or(0));
  f.class_code = reader.number("class", 0, 0xffffff).value_or(0);
  f.multifunction = reader.flag("multifunction");
  f.bridge = bridge_of(reader, f.type);
  f.acs = acs_of(reader);
  f.sriov = sriov_of(reader, source);
  for (const toml::node* item : reader.list("dma_aliases")) {
    const auto devfn = parse_devfn(reader.text_of("dma_aliases", *item));
    if (!devfn) {
      reader.fail(*item, "dma_aliases: expected device.function such as \"1f.7\"");
    }
    f.dma_aliases.set(*devfn);
  }
  f.no_bus_reset = reader.flag("no_bus_reset");
  f.translation_root = reader.flag("translation_root");
  f.ats = reader.flag("ats");
  f.driver = reader.text("driver").value_or("");
  f.recorded_group = reader.number("recorded_group", 0, kMax32);
  reader.done();
  return f;
}

StreamRange range_of(Reader& reader) {
  StreamRange range;
  range.domain = reader.number("domain", 0, kMax32).value_or(0);
  const std::uint32_t first = reader.number("rid", 0, 0xffff).value_or(0);
  range.first = Rid{static_cast<std::uint16_t>(first)};
  range.length = reader.number("length", 1, 0x10000).value_or(0x10000 - first);
  range.smmu = SmmuIndex{reader.number("smmu", 0, 1023).value_or(0)};
  range.stream = StreamId{reader.number("stream_id", 0, kMax32 - 0x10000).value_or(0)};
  reader.done();
  return range;
}

toml::table parsed(std::string_view text, const std::string& source) {
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& e) {
    throw ConfigError(fmt::format("{}:{}:{}: {}", source, e.source().begin.line,
                                  e.source().begin.column, e.description()));
  }
}

std::vector<FunctionIndex> probe_order_of(Reader& reader, const Topology& topology) {
  std::vector<FunctionIndex> order;
  for (const toml::node* item : reader.list("probe_order")) {
    const Address address = address_of(reader, "probe_order", *item);
    const auto found = topology.find(address);
    if (!found) {
      reader.fail(*item, fmt::format("probe_order: there is no device {}", to_string(address)));
    }
    if (std::find(order.begin(), order.end(), *found) != order.end()) {
      reader.fail(*item, fmt::format("probe_order: {} a second time", to_string(address)));
    }
    order.push_back(*found);
  }
  return order;
}

// All but the devices.
void take_settings(Reader& reader, HostDescription& host) {
  std::vector<StreamRange> ranges;
  for (Reader& range : reader.tables("iommu_map")) {
    ranges.push_back(range_of(range));
  }
  const auto mask =
      static_cast<std::uint16_t>(reader.number("iommu_map_mask", 0, 0xffff).value_or(0xffff));
  host.streams = StreamMap(std::move(ranges), mask);
  if (reader.find("probe_order") != nullptr) {
    host.probe_order = probe_order_of(reader, host.topology);
  }
}

}  // namespace

HostDescription read_toml(std::string_view text, const std::string& source) {
  const toml::table root = parsed(text, source);
  Reader reader(root, source);
  std::vector<Function> functions;
  for (Reader& device : reader.tables("device")) {
    functions.push_back(function_of(device, source));
  }
  HostDescription host{source, Topology(std::move(functions), source), StreamMap(), std::nullopt};
  take_settings(reader, host);
  reader.done();
  if (host.topology.functions().empty()) {
    throw ConfigError(fmt::format("{}:1: no [[device]] is described", source));
  }
  return host;
}

void apply_toml_settings(std::string_view text, const std::string& source, HostDescription& host) {
  const toml::table root = parsed(text, source);
  Reader reader(root, source);
  take_settings(reader, host);
  reader.done();
}

}  // namespace smmulab::pcie
