// SPDX-License-Identifier: Apache-2.0
// Where CPUs sit: sockets, NUMA nodes, clusters of cores. Distance classes decide cache-line
// transfer cost. Not modelled: SMT, distances that differ between nodes of one socket or between
// clusters of one node.
#pragma once

#include <cstdint>
#include <vector>

#include "models/linux/params.hpp"

namespace smmulab::lnx {

inline constexpr std::uint32_t kNoCluster = ~0U;

struct CpuPlace {
  std::uint32_t socket = 0;
  std::uint32_t node = 0;
  std::uint32_t cluster = kNoCluster;
};

using Topology = std::vector<CpuPlace>;

// `cpus` CPUs in equal, consecutive shares of `sockets` sockets and of nodes within them.
// `cpus_per_cluster`: 0: none. Throws ConfigError if the shares are not whole.
[[nodiscard]] Topology uniform_topology(std::uint32_t cpus, std::uint32_t sockets = 1,
                                        std::uint32_t nodes_per_socket = 1,
                                        std::uint32_t cpus_per_cluster = 0);

[[nodiscard]] inline Ps transfer_cost(const LineParams& p, const Topology& t, std::uint32_t from,
                                      std::uint32_t to) {
  if (from == to) {
    return p.same_cpu;
  }
  if (t[from].socket != t[to].socket) {
    return p.cross_socket;
  }
  if (t[from].node != t[to].node) {
    return p.cross_node;
  }
  const bool together = t[from].cluster == t[to].cluster && t[from].cluster != kNoCluster;
  return together ? p.same_cluster : p.same_node;
}

}  // namespace smmulab::lnx
