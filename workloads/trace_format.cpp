// SPDX-License-Identifier: Apache-2.0
#include "workloads/trace_format.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include <xxhash.h>

#include <fmt/format.h>

#include "workloads/byte_stream.hpp"

namespace smmulab::workloads {

std::string trace_hash(const std::string& path) {
  struct Free {
    void operator()(XXH3_state_t* s) const { XXH3_freeState(s); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (state == nullptr || XXH3_128bits_reset(state.get()) != XXH_OK) {
    throw Error("xxhash: out of memory");
  }
  const auto source = open_source(path);
  std::vector<char> buffer(1 << 16);
  std::size_t line = 1;
  try {
    while (const std::size_t n = source->read(buffer.data(), buffer.size())) {
      XXH3_128bits_update(state.get(), buffer.data(), n);
      line += static_cast<std::size_t>(std::count(buffer.data(), buffer.data() + n, '\n'));
    }
  } catch (const CorruptData& damage) {
    throw TraceError(path, line, 1, damage.what());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace smmulab::workloads
