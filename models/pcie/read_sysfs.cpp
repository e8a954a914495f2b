// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/read_sysfs.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "models/pcie/config_space.hpp"
#include "models/pcie/read_lspci.hpp"
#include "models/pcie/read_toml.hpp"
#include "sim/error.hpp"
#include "sim/utf8.hpp"

namespace smmulab::pcie {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw ConfigError(fmt::format("{}: is a folder; expected a file", path.string()));
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (!in.is_open() || in.bad()) {
    throw ConfigError(fmt::format("{}: cannot be read", path.string()));
  }
  return bytes;
}

std::string read_text(const std::string& path) {
  std::string text = read_file(path);
  const std::size_t good = valid_utf8_prefix(text);
  if (good != text.size()) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(good);
    throw ConfigError(
        fmt::format("{}:{}: the text is not UTF-8", path, 1 + std::count(text.begin(), end, '\n')));
  }
  return text;
}

// The last name of what a link leads to, whether or not that exists here.
std::optional<std::string> target_of(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? std::nullopt : std::optional(target.filename().string());
}

Function function_in(const fs::path& folder, const Address& address) {
  Function f;
  f.address = address;
  f.line = 1;
  const fs::path config = folder / "config";
  if (const std::string wrong = decode_config_space(read_file(config), f); !wrong.empty()) {
    throw ConfigError(fmt::format("{}: {}", config.string(), wrong));
  }
  f.driver = target_of(folder / "driver").value_or("");
  if (const auto group = target_of(folder / "iommu_group")) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(group->data(), group->data() + group->size(), number);
    if (error != std::errc{} || end != group->data() + group->size()) {
      throw ConfigError(fmt::format("{}: expected a link to .../iommu_groups/NUMBER",
                                    (folder / "iommu_group").string()));
    }
    f.recorded_group = number;
  }
  if (const auto physical = target_of(folder / "physfn")) {
    f.physfn = parse_address(*physical);
    if (!f.physfn) {
      throw ConfigError(
          fmt::format("{}: expected a link to a PCI address", (folder / "physfn").string()));
    }
    // The identity of a VF reads as ffff; its PF's SR-IOV capability has it.
    f.vendor = f.vendor == 0xffff ? std::uint16_t{0} : f.vendor;
    f.device = f.device == 0xffff ? std::uint16_t{0} : f.device;
  }
  return f;
}

}  // namespace

HostDescription read_sysfs(const std::string& folder) {
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    entries.push_back(entry.path());
  }
  std::sort(entries.begin(), entries.end());
  std::vector<Function> functions;
  for (const fs::path& entry : entries) {
    if (const auto address = parse_address(entry.filename().string())) {
      functions.push_back(function_in(entry, *address));
    }
  }
  if (functions.empty()) {
    throw ConfigError(
        fmt::format("{}: no folder in it is named as a PCI device, such as "
                    "0000:01:00.0",
                    folder));
  }
  return {folder, Topology(std::move(functions), folder), StreamMap(), std::nullopt};
}

HostDescription read_host(const std::string& path, const std::string& settings) {
  std::error_code error;
  const bool described = fs::path(path).extension() == ".toml";
  if (described && !settings.empty()) {
    throw ConfigError(
        fmt::format("{}: a topology file has its own iommu_map and probe_order, so "
                    "{} cannot be given",
                    path, settings));
  }
  HostDescription host = fs::is_directory(path, error) ? read_sysfs(path)
                         : described                   ? read_toml(read_text(path), path)
                                                       : read_lspci(read_text(path), path);
  if (!settings.empty()) {
    apply_toml_settings(read_text(settings), settings, host);
  }
  return host;
}

}  // namespace smmulab::pcie
