// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/dma_domain.hpp"

#include <memory>

#include <fmt/format.h>

namespace smmulab::dma_iommu {
namespace {

constexpr std::uint64_t kEntriesPerLine = 8;  // of 8 bytes in 64
constexpr std::uint64_t kLineSpan = kEntriesPerLine * IovaDomain::kPage;

}  // namespace

DmaDomain::DmaDomain(lnx::Machine& machine, const DmaParams& params, smmu::Driver& driver,
                     smmu::Domain& domain)
    : machine_(machine),
      params_(params),
      driver_(driver),
      domain_(domain),
      iovas_(machine, params),
      flush_queue_(machine, params, driver, domain, iovas_, stale_),
      coherent_(machine.params().line.model == lnx::LineModel::kCoherent) {}

Task<void> DmaDomain::write_entries(lnx::Thread& t, Iova iova, Bytes size) {
  if (!coherent_) {
    co_return;
  }
  const std::uint64_t end = iova.value() + size.value();
  for (std::uint64_t line = iova.value() / kLineSpan; line * kLineSpan < end; ++line) {
    auto& entries = entry_lines_[line];
    if (!entries) {
      entries = std::make_unique<lnx::SharedLine>(
          machine_, fmt::format("page table entries {:#x}", line * kLineSpan));
    }
    lnx::SharedLine& shared = *entries;  // the map may grow while we wait
    co_await shared.write(t);
  }
}

Task<Iova> DmaDomain::map(lnx::Thread& t, Bytes size) {
  const Bytes pages = whole_pages(size);
  t.charge(params_.map_base);
  const Iova iova = co_await iovas_.alloc(t, pages);
  co_await driver_.map(t, domain_, iova, pages, pages);
  co_await write_entries(t, iova, pages);
  co_return iova;
}

Task<void> DmaDomain::unmap(lnx::Thread& t, Iova iova, Bytes size) {
  const Bytes pages = whole_pages(size);
  t.charge(params_.unmap_base);
  co_await write_entries(t, iova, pages);
  const SimTime cleared = machine_.now() + t.unpaid();
  if (params_.mode == DmaMode::kStrict) {
    co_await driver_.unmap(t, domain_, iova, pages);
    stale_.add(machine_.now() + t.unpaid() - cleared);
    co_await iovas_.free(t, iova, pages);
  } else {
    co_await driver_.unmap_queued(t, domain_, iova, pages);
    co_await flush_queue_.add(t, iova, pages, {cleared, machine_.now() + t.unpaid()});
  }
}

}  // namespace smmulab::dma_iommu
