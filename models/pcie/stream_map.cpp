// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/stream_map.hpp"

#include <algorithm>

namespace smmulab::pcie {

std::optional<StreamMap::Target> StreamMap::find(std::uint32_t domain, Rid rid) const {
  const std::uint32_t id = rid.value() & mask_;
  if (ranges_.empty()) {
    return Target{SmmuIndex{0}, StreamId{id}};
  }
  for (const StreamRange& r : ranges_) {
    if (domain == r.domain && id >= r.first.value() && id - r.first.value() < r.length) {
      return Target{r.smmu, StreamId{r.stream.value() + (id - r.first.value())}};
    }
  }
  return std::nullopt;
}

std::optional<Streams> StreamMap::streams_of(const Topology& topology, FunctionIndex f) const {
  std::optional<Streams> streams;
  for (const DmaAlias& alias : dma_aliases(topology, f)) {
    const auto target = find(topology.functions()[f].address.domain, alias.rid);
    if (!target || (streams && streams->smmu != target->smmu)) {
      return std::nullopt;
    }
    if (!streams) {
      streams = Streams{target->smmu, {}};
    }
    std::vector<StreamId>& ids = streams->ids;
    if (std::find(ids.begin(), ids.end(), target->stream) == ids.end()) {
      ids.push_back(target->stream);
    }
  }
  return streams;
}

std::uint32_t StreamMap::smmu_count() const {
  std::uint32_t count = ranges_.empty() ? 1 : 0;
  for (const StreamRange& r : ranges_) {
    count = std::max(count, r.smmu.value() + 1);
  }
  return count;
}

}  // namespace smmulab::pcie
