// SPDX-License-Identifier: Apache-2.0
// Costs and settings of the DMA API on an IOMMU. Provenance of each default: params.cpp.
#pragma once

#include <cstdint>

#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::dma_iommu {

enum class DmaMode : std::uint8_t { kStrict, kLazy };

struct DmaParams {
  DmaMode mode = DmaMode::kStrict;
  std::uint32_t magazine_entries = 127;  // IOVA_MAG_SIZE
  std::uint32_t fq_entries = 256;        // IOVA_DEFAULT_FQ_SIZE
  Ps fq_timeout{10'000'000'000};         // IOVA_DEFAULT_FQ_TIMEOUT, 10 ms

  Ps map_base{120'000};       // dma_map_page() without IOVA and iommu_map()
  Ps unmap_base{110'000};     // dma_unmap_page() likewise
  Ps iova_fast{45'000};       // one IOVA from or to a magazine of this CPU
  Ps iova_magazine{150'000};  // taking a magazine from the depot or giving one, lock not included
  Ps iova_tree{400'000};      // one IOVA from or to the rbtree, lock not included
  Ps fq_add{40'000};          // queue_iova() without flush
  Ps gap{0};                  // between map and unmap in the map+unmap loop, mean
  Ps fq_free{15'000};         // one entry of a flush queue let go, IOVA not included
};

void describe(ParamTable& table, DmaParams& params);

}  // namespace smmulab::dma_iommu
