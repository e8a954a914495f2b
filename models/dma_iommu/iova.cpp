// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/iova.hpp"

#include <bit>
#include <utility>

#include "sim/error.hpp"

namespace smmulab::dma_iommu {
namespace {

// order_base_2() of the number of pages.
std::size_t order_of(Bytes size) {
  const std::uint64_t pages = (size.value() + IovaDomain::kPage - 1) / IovaDomain::kPage;
  return static_cast<std::size_t>(std::bit_width(pages - 1));
}

}  // namespace

IovaDomain::RangeCache::RangeCache(lnx::Machine& machine, lnx::LockClass& lock_class)
    : lock(machine, lock_class), cpus(machine.cpu_count()) {}

IovaDomain::IovaDomain(lnx::Machine& machine, const DmaParams& params)
    : params_(params),
      tree_lock_(machine, machine.locks().get("iova_rbtree_lock", lnx::LockKind::kSpinlock)) {
  lnx::LockClass& depot = machine.locks().get("rcache->lock", lnx::LockKind::kSpinlock);
  for (std::size_t order = 0; order < kOrders; ++order) {
    caches_.emplace_back(machine, depot);
  }
}

Task<bool> IovaDomain::refill(lnx::Thread& t, RangeCache& cache, CpuCache& mine) {
  if (!mine.previous.empty()) {
    std::swap(mine.loaded, mine.previous);
    co_return true;
  }
  co_await cache.lock.lock(t);
  const bool found = !cache.depot.empty();
  if (found) {
    t.charge(params_.iova_magazine);
    mine.loaded = std::move(cache.depot.back());
    cache.depot.pop_back();
    ++stat_.from_depot;
  }
  co_await cache.lock.unlock(t);
  co_return found;
}

Task<Iova> IovaDomain::alloc_from_tree(lnx::Thread& t, Bytes size) {
  co_await tree_lock_.lock(t);
  t.charge(params_.iova_tree);
  ++stat_.from_tree;
  const std::optional<Iova> iova = tree_.alloc(size);
  co_await tree_lock_.unlock(t);
  if (!iova) {
    throw ConfigError("DMA API: no IOVAs are left: map less at a time, or smaller buffers");
  }
  co_return *iova;
}

Task<Iova> IovaDomain::alloc(lnx::Thread& t, Bytes size) {
  const std::size_t order = order_of(size);
  if (order >= kOrders) {
    co_return co_await alloc_from_tree(t, size);
  }
  RangeCache& cache = caches_[order];
  CpuCache& mine = cache.cpus[t.cpu_index()];
  t.charge(params_.iova_fast);
  bool cached = !mine.loaded.empty();
  if (!cached) {
    cached = co_await refill(t, cache, mine);
  }
  if (!cached) {
    co_return co_await alloc_from_tree(t, Bytes{kPage << order});
  }
  ++stat_.from_magazine;
  const Iova iova = mine.loaded.back();
  mine.loaded.pop_back();
  co_return iova;
}

Task<void> IovaDomain::free(lnx::Thread& t, Iova iova, Bytes size) {
  const std::size_t order = order_of(size);
  if (order >= kOrders) {
    co_await tree_lock_.lock(t);
    t.charge(params_.iova_tree);
    ++stat_.to_tree;
    tree_.free(iova);
    co_await tree_lock_.unlock(t);
    co_return;
  }
  RangeCache& cache = caches_[order];
  CpuCache& mine = cache.cpus[t.cpu_index()];
  t.charge(params_.iova_fast);
  ++stat_.to_magazine;
  if (mine.loaded.size() == params_.magazine_entries) {
    if (mine.previous.size() < params_.magazine_entries) {
      std::swap(mine.loaded, mine.previous);
    } else {
      co_await cache.lock.lock(t);
      t.charge(params_.iova_magazine);
      cache.depot.push_back(std::exchange(mine.loaded, {}));
      ++stat_.to_depot;
      co_await cache.lock.unlock(t);
    }
  }
  mine.loaded.push_back(iova);
}

}  // namespace smmulab::dma_iommu
