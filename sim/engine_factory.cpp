// SPDX-License-Identifier: Apache-2.0
#include "sim/engine_factory.hpp"

#include <fmt/format.h>

#include "sim/error.hpp"

#if defined(SMMULAB_HAVE_SIMGRID) && SMMULAB_HAVE_SIMGRID
#include "sim/simgrid_engine.hpp"
#endif

namespace smmulab {

EngineKind parse_engine_kind(std::string_view name) {
  if (name == "native") {
    return EngineKind::kNative;
  }
  if (name == "simgrid") {
    return EngineKind::kSimGrid;
  }
  throw ConfigError(fmt::format("unknown engine '{}' (known: native, simgrid)", name));
}

#if defined(SMMULAB_HAVE_SIMGRID) && SMMULAB_HAVE_SIMGRID

bool simgrid_available() {
  return true;
}
std::string simgrid_version() {
  return SimGridEngine::library_version();
}

namespace {
std::unique_ptr<Engine> make_simgrid_engine() {
  return std::make_unique<SimGridEngine>();
}
}  // namespace

#else

bool simgrid_available() {
  return false;
}
std::string simgrid_version() {
  return {};
}

namespace {
std::unique_ptr<Engine> make_simgrid_engine() {
  throw ConfigError(
      "this build has no SimGrid engine: install SimGrid (Debian: libsimgrid-dev) and build again "
      "with SMMULAB_SIMGRID=ON, or use the native engine");
}
}  // namespace

#endif

std::unique_ptr<Engine> make_engine(EngineKind kind) {
  return kind == EngineKind::kSimGrid ? make_simgrid_engine() : std::make_unique<Engine>();
}

}  // namespace smmulab
