// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_lru.hpp"

#include <list>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace smmulab::bench {

Sample run_bare_lru(const PageStream& stream, std::uint64_t count) {
  std::list<std::pair<std::uint64_t, std::uint64_t>> order;
  std::unordered_map<std::uint64_t, decltype(order)::iterator> map;
  for (std::uint64_t page = 0; page < stream.pages; ++page) {
    order.emplace_front(page, page);
    map[page] = order.begin();
  }
  std::uint64_t sum = 0;
  const Meter meter;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto found = map.find(stream.address(i) / 4096);
    order.splice(order.begin(), order, found->second);
    sum += found->second->second;
  }
  const Sample sample = meter.stop(count);
  if (sum == 0 && count > stream.pages) {
    throw std::runtime_error("a look-up went wrong");
  }
  return sample;
}

}  // namespace smmulab::bench
