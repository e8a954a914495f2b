// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_lru.hpp"

#include <list>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace smmulab::bench {

Sample run_bare_lru(std::uint64_t count) {
  std::list<std::pair<std::uint64_t, std::uint64_t>> order;
  std::unordered_map<std::uint64_t, decltype(order)::iterator> map;
  for (std::uint64_t i = 0; i < kLruPages; ++i) {
    order.emplace_front(i * 4096, i * 4096);
    map[i * 4096] = order.begin();
  }
  std::uint64_t sum = 0;
  const Meter meter;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto found = map.find(nth_page(i));
    order.splice(order.begin(), order, found->second);
    sum += found->second->second >> 12U;
  }
  const Sample sample = meter.stop(count);
  if (sum == 0 && count > kLruPages) {
    throw std::runtime_error("a look-up went wrong");
  }
  return sample;
}

}  // namespace smmulab::bench
