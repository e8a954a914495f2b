// SPDX-License-Identifier: Apache-2.0
#include "workloads/settings.hpp"

namespace smmulab::workloads {
namespace {

void apply_server(Settings& s) {
  s = Settings{};
}

}  // namespace

const std::vector<PresetInfo>& presets() {
  static const std::vector<PresetInfo> kPresets = {
      {"server", "a large arm64 server; most costs are assumed (the default)", apply_server},
  };
  return kPresets;
}

}  // namespace smmulab::workloads
