// SPDX-License-Identifier: Apache-2.0
// Which engine runs a simulation: chosen by name, made here. Both give the same results; the native
// engine is the fast one, SimGrid is the reference.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sim/engine.hpp"

namespace smmulab {

enum class EngineKind : std::uint8_t { kNative, kSimGrid };

// "native" or "simgrid"; throws ConfigError for anything else.
[[nodiscard]] EngineKind parse_engine_kind(std::string_view name);

// Throws ConfigError when SimGrid is asked for and this build is without it, or when this operating
// system process has had a SimGrid engine before.
[[nodiscard]] std::unique_ptr<Engine> make_engine(EngineKind kind);

[[nodiscard]] bool simgrid_available();
// Empty in a build without SimGrid.
[[nodiscard]] std::string simgrid_version();

}  // namespace smmulab
