// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/params.hpp"

#include <string>

namespace smmulab::dma_iommu {
namespace {

constexpr Provenance kCpu{"assumed: typical of arm64 servers at 2.6-3 GHz"};

}  // namespace

void describe(ParamTable& t, DmaParams& p) {
  t.add_enum("dma.mode", &p.mode, {"strict", "lazy"},
             "unmap invalidates and waits, or queues the IOVA until a flush",
             {"Linux 6.12 iommu.strict=1 and 0"});
  t.add("dma.magazine_entries", &p.magazine_entries, 1, 4096, "IOVAs of a per-CPU magazine",
        {"Linux 6.12 drivers/iommu/iova.c IOVA_MAG_SIZE (128 before 6.7)"});
  t.add("dma.fq_entries", &p.fq_entries, 2, 65'536, "lazy: entries of a CPU's flush queue",
        {"Linux 6.12 drivers/iommu/dma-iommu.c IOVA_DEFAULT_FQ_SIZE"});
  t.add("dma.fq_timeout", &p.fq_timeout, 1_us, 10'000_ms,
        "lazy: the oldest queued IOVA waits at most that long for a flush",
        {"Linux 6.12 drivers/iommu/dma-iommu.c IOVA_DEFAULT_FQ_TIMEOUT"});
  const auto add = [&t](const char* key, Ps* value, const char* doc) {
    t.add(std::string("dma.") + key, value, 0_ps, 10_ms, doc, kCpu);
  };
  add("map_base", &p.map_base, "dma_map_page() without its IOVA and iommu_map()");
  add("unmap_base", &p.unmap_base, "dma_unmap_page() without iommu_unmap() and its IOVA");
  add("iova_fast", &p.iova_fast, "one IOVA from or to a magazine of this CPU");
  add("iova_magazine", &p.iova_magazine, "a magazine from or to the depot, without its lock");
  add("iova_tree", &p.iova_tree, "one IOVA from or to the rbtree, without its lock");
  t.add(
      "dma.gap", &p.gap, 0_ps, 10_ms,
      "map+unmap loop: mean CPU time of a round besides the DMA API, uniform from 0 to twice that",
      {"user's choice"});
  add("fq_add", &p.fq_add, "lazy: queue_iova() without flush");
  add("fq_free", &p.fq_free, "lazy: one flushed entry let go, without its IOVA");
}

}  // namespace smmulab::dma_iommu
