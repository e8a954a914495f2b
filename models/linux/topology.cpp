// SPDX-License-Identifier: Apache-2.0
#include "models/linux/topology.hpp"

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::lnx {

Topology uniform_topology(std::uint32_t cpus, std::uint32_t sockets, std::uint32_t nodes_per_socket,
                          std::uint32_t cpus_per_cluster) {
  const std::uint32_t nodes = sockets * nodes_per_socket;
  if (cpus == 0 || nodes == 0 || cpus % nodes != 0) {
    throw ConfigError(
        fmt::format("{} CPUs cannot be shared equally by {} sockets with {} nodes each", cpus,
                    sockets, nodes_per_socket));
  }
  if (cpus_per_cluster != 0 && cpus / nodes % cpus_per_cluster != 0) {
    throw ConfigError(fmt::format("{} CPUs of a node cannot be shared by clusters of {}",
                                  cpus / nodes, cpus_per_cluster));
  }
  Topology topology(cpus);
  for (std::uint32_t i = 0; i < cpus; ++i) {
    topology[i].node = i / (cpus / nodes);
    topology[i].socket = topology[i].node / nodes_per_socket;
    topology[i].cluster = cpus_per_cluster == 0 ? kNoCluster : i / cpus_per_cluster;
  }
  return topology;
}

}  // namespace smmulab::lnx
