// SPDX-License-Identifier: Apache-2.0
// StreamMap: from requester id to SMMU and stream id, by ranges as the device tree's iommu-map or
// the ID mappings of ACPI's IORT give them; the first range that holds the id counts. No range at
// all: stream id = requester id on SMMU 0. A function of which one id is in no range, or whose ids
// lead to several SMMUs, has no SMMU (of_iommu_configure, iort_iommu_configure_id).
// Not modelled: chains of ITS and SMMU nodes, IORT's off-by-one workaround.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/pcie/isolation.hpp"

namespace smmulab::pcie {

struct StreamRange {
  std::uint32_t domain = 0;
  Rid first{};
  std::uint32_t length = 0;
  SmmuIndex smmu{};
  StreamId stream{};
};

struct Streams {
  SmmuIndex smmu{};
  std::vector<StreamId> ids;  // each once, that of the function itself first
};

class StreamMap {
 public:
  // `mask` is laid over requester ids before they are looked up (iommu-map-mask).
  explicit StreamMap(std::vector<StreamRange> ranges = {}, std::uint16_t mask = 0xffff)
      : ranges_(std::move(ranges)), mask_(mask) {}

  // Streams of a function with all its aliases; nothing if it has no SMMU.
  [[nodiscard]] std::optional<Streams> streams_of(const Topology& topology, FunctionIndex f) const;
  // One more than the highest SMMU named.
  [[nodiscard]] std::uint32_t smmu_count() const;

 private:
  struct Target {
    SmmuIndex smmu;
    StreamId stream;
  };
  [[nodiscard]] std::optional<Target> find(std::uint32_t domain, Rid rid) const;

  std::vector<StreamRange> ranges_;
  std::uint16_t mask_;
};

}  // namespace smmulab::pcie
