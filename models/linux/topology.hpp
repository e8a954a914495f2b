// SPDX-License-Identifier: Apache-2.0
// Where CPUs sit: sockets and NUMA nodes. Distance classes decide cache-line transfer cost.
// Not modelled: SMT, clusters within a node, distances that differ between nodes of one socket.
#pragma once

#include <cstdint>
#include <vector>

#include "models/linux/params.hpp"

namespace smmulab::lnx {

struct CpuPlace {
  std::uint32_t socket = 0;
  std::uint32_t node = 0;
};

using Topology = std::vector<CpuPlace>;

// `cpus` CPUs in equal, consecutive shares of `sockets` sockets and of nodes within them.
// Throws ConfigError if the shares are not whole.
[[nodiscard]] Topology uniform_topology(std::uint32_t cpus, std::uint32_t sockets = 1,
                                        std::uint32_t nodes_per_socket = 1);

[[nodiscard]] inline Ps transfer_cost(const LineParams& p, const Topology& t, std::uint32_t from,
                                      std::uint32_t to) {
  if (from == to) {
    return p.same_cpu;
  }
  if (t[from].socket != t[to].socket) {
    return p.cross_socket;
  }
  return t[from].node == t[to].node ? p.same_node : p.cross_node;
}

}  // namespace smmulab::lnx
