// SPDX-License-Identifier: Apache-2.0
#include "workloads/op_spec.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/iommufd/limits.hpp"
#include "sim/params.hpp"

namespace smmulab::workloads {
namespace {

constexpr KeyMask kResult = bit(Key::kRet) | bit(Key::kDur);
constexpr KeyMask kRange = bit(Key::kIova) | bit(Key::kLen);

constexpr std::array<OpSpec, kOpKinds> kSpecs{{
    {"bind", bit(Key::kDev), kResult},
    {"unbind", bit(Key::kDev), kResult},
    {"ioas_alloc", bit(Key::kIoas), kResult},
    {"ioas_destroy", bit(Key::kIoas), kResult},
    {"hwpt_alloc", bit(Key::kHwpt) | bit(Key::kDev) | bit(Key::kPt),
     bit(Key::kFlags) | bit(Key::kFault) | kResult, iommufd::HwptFlag::kAll},
    {"hwpt_destroy", bit(Key::kHwpt), kResult},
    {"attach", bit(Key::kDev) | bit(Key::kPt), bit(Key::kOld) | bit(Key::kGot) | kResult},
    {"replace", bit(Key::kDev) | bit(Key::kPt), bit(Key::kOld) | bit(Key::kGot) | kResult},
    {"detach", bit(Key::kDev), bit(Key::kOld) | kResult},
    {"map", bit(Key::kIoas) | kRange, kResult},
    {"unmap", bit(Key::kIoas) | kRange, kResult},
    {"unmap_all", bit(Key::kIoas), kResult},
    {"dma", bit(Key::kDev) | kRange, kResult},
    {"copy", bit(Key::kIoas) | bit(Key::kSrc) | bit(Key::kFrom) | kRange, kResult},
    {"access_create", bit(Key::kAccess), bit(Key::kFlags) | kResult, kAccessIgnoresUnmap},
    {"access_destroy", bit(Key::kAccess), kResult},
    {"access_attach", bit(Key::kAccess) | bit(Key::kIoas), kResult},
    {"access_detach", bit(Key::kAccess), kResult},
    {"pin", bit(Key::kAccess) | kRange, kResult},
    {"unpin", bit(Key::kAccess) | kRange, kResult},
    {"hwpt_invalidate", bit(Key::kHwpt) | bit(Key::kCount), kResult},
    {"set_dirty", bit(Key::kHwpt), bit(Key::kFlags) | kResult, iommufd::kDirtyEnable},
    {"get_dirty", bit(Key::kHwpt) | kRange, bit(Key::kFlags) | kResult, iommufd::kDirtyNoClear},
    {"fault_alloc", bit(Key::kFault), kResult},
    {"fault_destroy", bit(Key::kFault), kResult},
    {"attach_pasid", bit(Key::kDev) | bit(Key::kPasid) | bit(Key::kPt), kResult},
    {"detach_pasid", bit(Key::kDev) | bit(Key::kPasid), kResult},
    {"msi_prepare", bit(Key::kDev), kResult},
    {"reset_begin", bit(Key::kDev), kResult},
    {"reset_done", bit(Key::kDev), kResult},
    {"allow_iovas", bit(Key::kIoas) | kRange, kResult},
}};

constexpr std::array<std::string_view, kKeys> kKeyNames{
    "hwpt", "access", "fault", "ioas", "dev",   "pasid", "pt",  "old", "got",
    "src",  "from",   "iova",  "len",  "count", "flags", "ret", "dur"};

std::string suggest(std::string_view name, const std::vector<std::string>& known) {
  const std::string near = nearest_name(name, known);
  return near.empty() ? fmt::format(" (known: {})", fmt::join(known, ", "))
                      : fmt::format(" (did you mean '{}'?)", near);
}

}  // namespace

const OpSpec& op_spec(OpKind kind) {
  return kSpecs.at(static_cast<std::size_t>(kind));
}

std::string_view op_name(OpKind kind) {
  return kind == OpKind::kPhase ? std::string_view{"phase"} : op_spec(kind).name;
}

std::string_view key_name(Key key) {
  return kKeyNames.at(static_cast<std::size_t>(key));
}

std::optional<OpKind> find_op(std::string_view name) {
  for (std::size_t i = 0; i < kSpecs.size(); ++i) {
    if (kSpecs[i].name == name) {
      return static_cast<OpKind>(i);
    }
  }
  return std::nullopt;
}

std::optional<Key> find_key(std::string_view name) {
  const auto* it = std::find(kKeyNames.begin(), kKeyNames.end(), name);
  if (it == kKeyNames.end()) {
    return std::nullopt;
  }
  return static_cast<Key>(it - kKeyNames.begin());
}

std::string suggest_op(std::string_view name) {
  std::vector<std::string> known;
  for (const OpSpec& spec : kSpecs) {
    known.emplace_back(spec.name);
  }
  return suggest(name, known);
}

std::string suggest_key(std::string_view name, KeyMask allowed) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < kKeys; ++i) {
    if ((allowed & bit(static_cast<Key>(i))) != 0) {
      known.emplace_back(kKeyNames[i]);
    }
  }
  return suggest(name, known);
}

}  // namespace smmulab::workloads
