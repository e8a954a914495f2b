// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/read_lspci.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "models/pcie/acs_text.hpp"
#include "sim/error.hpp"

namespace smmulab::pcie {
namespace {

// lspci's words behind "Express (v2) "; longer ones before their beginnings.
constexpr std::array kTypeWords = std::to_array<std::pair<std::string_view, Type>>({
    {"Root Complex Integrated Endpoint", Type::kRootComplexEndpoint},
    {"Root Complex Event Collector", Type::kEventCollector},
    {"Legacy Endpoint", Type::kLegacyEndpoint},
    {"Endpoint", Type::kEndpoint},
    {"Root Port", Type::kRootPort},
    {"Upstream Port", Type::kUpstreamPort},
    {"Downstream Port", Type::kDownstreamPort},
    {"PCI-Express to PCI/PCI-X Bridge", Type::kPcieToPciBridge},
    {"PCI/PCI-X to PCI-Express Bridge", Type::kPciToPcieBridge},
});

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r");
  return first == std::string_view::npos
             ? std::string_view{}
             : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// What follows `key` in the line, without blanks.
std::optional<std::string_view> after(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  return at == std::string_view::npos ? std::nullopt
                                      : std::optional(trim(line.substr(at + key.size())));
}

std::optional<std::uint32_t> leading_number(std::string_view text, int base) {
  std::uint32_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && at != text.data() ? std::optional(value) : std::nullopt;
}

// "[0108]" or "[8086:1521]": the last brackets with that many digits, if there are any.
std::optional<std::string_view> bracketed(std::string_view text, std::size_t length) {
  for (std::size_t open = text.rfind('['); open != std::string_view::npos;
       open = open == 0 ? std::string_view::npos : text.rfind('[', open - 1)) {
    const std::size_t close = text.find(']', open);
    if (close == open + length + 1 &&
        text.substr(open + 1, length).find_first_not_of("0123456789abcdef:") ==
            std::string_view::npos) {
      return text.substr(open + 1, length);
    }
  }
  return std::nullopt;
}

class LspciReader {
 public:
  explicit LspciReader(const std::string& source) : source_(source) {}

  void take(std::string_view line, std::size_t number) {
    line_ = number;
    if (line.empty() || line.front() == '#') {
      return;
    }
    if (line.front() == '-' || (functions_.empty() && line.front() == ' ')) {
      in_tree_ = true;  // lspci -t
    } else if (line.front() != ' ' && line.front() != '\t') {
      in_tree_ = false;
      begin(line);
      return;
    }
    if (!in_tree_ && !functions_.empty()) {
      detail(functions_.back(), trim(line));
    }
  }

  std::vector<Function> finish() {
    if (functions_.empty()) {
      throw ConfigError(
          fmt::format("{}:1: no device: expected the output of lspci -vvv -nn -D", source_));
    }
    if (hidden_line_ != 0) {
      throw ConfigError(
          fmt::format("{}:{}: capabilities are hidden (access denied): run lspci as root", source_,
                      hidden_line_));
    }
    return std::move(functions_);
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw ConfigError(fmt::format("{}:{}: {}", source_, line_, message));
  }

  // "0000:01:00.0 Ethernet controller [0200]: Intel Corporation I350 [8086:1521] (rev 01)"
  void begin(std::string_view line) {
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    const auto address = parse_address(word);
    if (!address) {
      fail(fmt::format("expected a device such as \"0000:01:00.0 ...\", found '{}'", word));
    }
    Function f;
    f.address = *address;
    f.line = line_;
    const std::string_view rest = trim(line.substr(word.size()));
    const std::string_view kind = rest.substr(0, rest.find(": "));
    const std::string_view model = rest.substr(kind.size());
    const auto code = bracketed(kind, 4);
    const auto ids = bracketed(model, 9);
    if (!code || !ids) {
      fail("expected \"CLASS [0200]: NAME [8086:1521]\": run lspci with -nn");
    }
    f.class_code = leading_number(*code, 16).value_or(0) << 8U;
    f.vendor = static_cast<std::uint16_t>(leading_number(ids->substr(0, 4), 16).value_or(0));
    f.device = static_cast<std::uint16_t>(leading_number(ids->substr(5), 16).value_or(0));
    const auto end = static_cast<std::size_t>(ids->data() - model.data()) - 1;
    f.name = std::string(trim(model.substr(2, end - 2)));
    functions_.push_back(std::move(f));
    sriov_ = ats_ = vfs_on_ = false;
  }

  void detail(Function& f, std::string_view line) {
    if (line.starts_with("Capabilities:")) {
      capability(f, line);
    } else if (const auto bus = after(line, "Bus: primary=")) {
      bridge(f, line);
    } else if (const auto slot = after(line, "SltCap:")) {
      if (f.bridge) {
        f.bridge->hotplug_slot = slot->find("HotPlug+") != std::string_view::npos;
      }
    } else if (const auto caps = after(line, "ACSCap:")) {
      f.acs.emplace();
      f.acs->capable = acs_bits(*caps);
    } else if (const auto control = after(line, "ACSCtl:")) {
      if (!f.acs) {
        fail("ACSCtl without an ACSCap above it");
      }
      f.acs->enabled = acs_bits(*control);
    } else if (const auto iov = after(line, "IOVCtl:")) {
      vfs_on_ = iov->starts_with("Enable+");
    } else if (sriov_ && line.find("Number of VFs:") != std::string_view::npos) {
      f.sriov.emplace();
      f.sriov->vfs = vfs_on_ ? u16_after(line, "Number of VFs:") : std::uint16_t{0};
    } else if (sriov_ && line.find("VF offset:") != std::string_view::npos) {
      vf_places(f, line);
    } else if (const auto enable = after(line, "ATSCtl:")) {
      f.ats = ats_ && enable->starts_with("Enable+");
    } else if (const auto group = after(line, "IOMMU group:")) {
      f.recorded_group = leading_number(*group, 10);
      if (!f.recorded_group) {
        fail(fmt::format("IOMMU group: expected a number, found '{}'", *group));
      }
    } else if (const auto driver = after(line, "Kernel driver in use:")) {
      f.driver = std::string(*driver);
    }
  }

  void capability(Function& f, std::string_view line) {
    sriov_ = line.find("Single Root I/O Virtualization") != std::string_view::npos;
    ats_ = line.find("Address Translation Service") != std::string_view::npos;
    if (line.find("<access denied>") != std::string_view::npos) {
      hidden_line_ = line_;
      return;
    }
    const auto express = after(line, "Express ");
    if (!express || !line.substr(line.find(']') + 1).starts_with(" Express ")) {
      return;  // "[70] MSI: ...", "[100 v2] Advanced Error Reporting", ...
    }
    const std::string_view type =
        express->front() == '(' ? trim(express->substr(express->find(')') + 1)) : *express;
    for (const auto& [word, value] : kTypeWords) {
      if (type.starts_with(word)) {
        f.type = value;
        return;
      }
    }
    fail(fmt::format("unknown type of PCI Express device: '{}'", type));
  }

  std::uint8_t bus_after(std::string_view line, std::string_view key) const {
    const auto text = after(line, key);
    const std::uint32_t number = (text ? leading_number(*text, 16) : std::nullopt).value_or(256);
    if (number > 255) {
      fail("Bus: expected primary=XX, secondary=XX, subordinate=XX");
    }
    return static_cast<std::uint8_t>(number);
  }

  void bridge(Function& f, std::string_view line) {
    const std::uint8_t primary = bus_after(line, "primary=");
    const std::uint8_t secondary = bus_after(line, "secondary=");
    const std::uint8_t subordinate = bus_after(line, "subordinate=");
    if (primary != 0 && primary != f.address.bus) {  // 0: not set up, or wired so
      fail(fmt::format("Bus: {} lies on bus {:02x}, and its primary bus is {:02x}",
                       to_string(f.address), f.address.bus, primary));
    }
    if (secondary == 0 && subordinate != 0) {
      fail(fmt::format("Bus: {} leads to bus 00, which nothing can lead to", to_string(f.address)));
    }
    if (secondary != 0) {  // 0: never set up, so that nothing is behind it
      f.bridge = Bridge{secondary, subordinate, false};
    }
  }

  // "SrcValid+ TransBlk- ...": those with a plus.
  static std::uint16_t acs_bits(std::string_view text) {
    std::uint16_t bits = 0;
    while (!text.empty()) {
      const std::string_view word = text.substr(0, text.find(' '));
      text = trim(text.substr(word.size()));
      if (word.back() == '+') {
        bits |= acs_bit(word.substr(0, word.size() - 1));
      }
    }
    return bits;
  }

  std::uint16_t u16_after(std::string_view line, std::string_view key) const {
    const auto text = after(line, key);
    const auto value = text ? leading_number(*text, 10) : std::nullopt;
    if (!value || *value > 0xffff) {
      fail(fmt::format("{} expected a number", key));
    }
    return static_cast<std::uint16_t>(*value);
  }

  void vf_places(Function& f, std::string_view line) {
    if (!f.sriov) {
      fail("VF offset without a Number of VFs above it");
    }
    f.sriov->offset = u16_after(line, "VF offset:");
    f.sriov->stride = u16_after(line, "stride:");
  }

  const std::string& source_;
  std::vector<Function> functions_;
  std::size_t line_ = 0;
  std::size_t hidden_line_ = 0;  // the last that hides capabilities
  bool in_tree_ = false;
  bool sriov_ = false;  // within that capability
  bool vfs_on_ = false;
  bool ats_ = false;
};

}  // namespace

HostDescription read_lspci(std::string_view text, const std::string& source) {
  LspciReader reader(source);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    reader.take(line, number);
  }
  return {source, Topology(reader.finish(), source), StreamMap(), std::nullopt};
}

}  // namespace smmulab::pcie
