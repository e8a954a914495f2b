// SPDX-License-Identifier: Apache-2.0
// All that depends on SimGrid's version and settings: starting it, making its one host, making
// actors. Written for 3.32 and ready for 4.x. Only simgrid_engine.cpp includes this.
#pragma once

#include <csignal>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <simgrid/s4u.hpp>
#include <simgrid/version.h>

#include "sim/error.hpp"

namespace smmulab::simgrid_adapter {

namespace s4u = simgrid::s4u;

// ---- What differs between 3.32 and 4.x ----------------------------------------------------------

#if SIMGRID_VERSION >= 33400
inline constexpr const char* kPrecisionOption = "precision/timing";
#else
inline constexpr const char* kPrecisionOption = "surf/precision";
#endif

// 4.x makes the root zone itself.
inline s4u::NetZone* root_zone([[maybe_unused]] const s4u::Engine& engine) {
#if SIMGRID_VERSION >= 40000
  return engine.get_netzone_root();
#else
  return s4u::create_full_zone("machine");
#endif
}

// The renamed calls are looked for rather than told by version. Templates, because the branch not
// taken may name what the installed SimGrid does not have.
template <class Zone>
s4u::Host* make_host(Zone* zone) {
  if constexpr (requires { zone->add_host("host", 1.0); }) {
    return zone->add_host("host", 1.0);
  } else {
    return zone->create_host("host", 1.0);
  }
}

template <class Host, class Actor = s4u::Actor>
void make_actor(Host* host, const std::string& name, const std::function<void()>& code) {
  if constexpr (requires { host->add_actor(name, code); }) {
    host->add_actor(name, code);
  } else {
    Actor::create(name, host, code);
  }
}

// ---- Settings -----------------------------------------------------------------------------------

// Symmetric transfer between coroutines costs no stack only in optimized builds. Pages that are
// never touched cost nothing: 4096 actors reserve 4 GiB of addresses.
#if defined(__OPTIMIZE__)
inline constexpr int kStackKib = 1024;
#else
inline constexpr int kStackKib = 8192;
#endif

// Half a picosecond: dates that differ at all are different dates.
inline constexpr double kPrecision = 0.5;

inline std::vector<std::string> arguments() {
  std::vector<std::string> result = {
      "smmulab",
      "--log=root.thresh:warning",
      fmt::format("--cfg={}:{}", kPrecisionOption, kPrecision),
      fmt::format("--cfg=contexts/stack-size:{}", kStackKib),
  };
#if defined(__SANITIZE_ADDRESS__)
  // AddressSanitizer follows threads (whose stacks have the system's size), not switched stacks.
  result.emplace_back("--cfg=contexts/factory:thread");
#endif
  return result;
}

// SimGrid's start takes over Ctrl-C and std::terminate, which belong to the program. A Ctrl-C
// during the start waits for its end: SimGrid's handler would leave the process, with files
// half-written.
class KeepHandlers {
 public:
  KeepHandlers() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &blocked_);
    sigaction(SIGINT, nullptr, &interrupt_);
  }
  ~KeepHandlers() {
    sigaction(SIGINT, &interrupt_, nullptr);
    std::set_terminate(terminate_);
    pthread_sigmask(SIG_SETMASK, &blocked_, nullptr);
  }
  KeepHandlers(const KeepHandlers&) = delete;
  KeepHandlers& operator=(const KeepHandlers&) = delete;

 private:
  sigset_t blocked_{};
  struct sigaction interrupt_{};
  std::terminate_handler terminate_ = std::get_terminate();
};

inline std::unique_ptr<s4u::Engine> start() {
  static bool started = false;
  if (std::exchange(started, true) || s4u::Engine::has_instance()) {
    throw ConfigError(
        "the SimGrid engine runs once in a process of the operating system: start another process "
        "for the next simulation, or use the native engine");
  }
  const KeepHandlers keep;
  std::vector<std::string> words = arguments();
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  int argc = static_cast<int>(words.size());
  return std::make_unique<s4u::Engine>(&argc, argv.data());
}

// Of the shared library in use.
inline std::string library_version() {
  int major = 0;
  int minor = 0;
  int patch = 0;
  sg_version_get(&major, &minor, &patch);
  return patch == 0 ? fmt::format("{}.{}", major, minor)
                    : fmt::format("{}.{}.{}", major, minor, patch);
}

}  // namespace smmulab::simgrid_adapter
