// SPDX-License-Identifier: Apache-2.0
// PageRequester: the page request interface of a device with an ATC (PCIe ATS chapter 4, PRI): it
// numbers groups, keeps to its allocation of outstanding requests, and takes one response for each
// group. Requests of a group are sent in order, Last on the last one.
// Not modelled: stop markers (a caller can send its own), the reset after a failure response.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/smmuv3/hw/page_request.hpp"

namespace smmulab::smmu::hw {

class PageRequester {
 public:
  static constexpr std::uint32_t kGroups = 512;  // PRG indices

  PageRequester(StreamId stream, std::uint32_t allocation)
      : stream_(stream), allocation_(allocation), sizes_(kGroups) {}

  // The requests to send, one for each page; empty if the allocation does not allow them or all
  // indices are in use. REQUIRES: pages are not empty.
  [[nodiscard]] std::vector<PageRequest> ask(std::span<const std::uint64_t> pages,
                                             const Access& access,
                                             std::optional<Ssid> substream = {}) {
    const auto count = static_cast<std::uint32_t>(pages.size());
    if (outstanding_ + count > allocation_ || open_.all()) {
      return {};
    }
    while (open_[next_]) {
      next_ = (next_ + 1) % kGroups;
    }
    const auto index = static_cast<std::uint16_t>(next_);
    next_ = (next_ + 1) % kGroups;
    open_.set(index);
    sizes_[index] = count;
    outstanding_ += count;
    std::vector<PageRequest> requests;
    for (const std::uint64_t page : pages) {
      PageRequest r;
      r.stream = stream_;
      r.substream = substream;
      r.address = address_field(page, 63, 12);
      r.prg_index = index;
      r.last = requests.size() + 1 == pages.size();
      r.read = !access.write;
      r.write = access.write;
      r.execute = access.instruction;
      r.privileged = access.privileged;
      requests.push_back(r);
    }
    return requests;
  }
  // False: there is no such group, the response is ignored.
  bool answered(const PageResponse& response) {
    if (!is_open(response.prg_index)) {
      return false;
    }
    open_.reset(response.prg_index);
    outstanding_ -= sizes_[response.prg_index];
    return true;
  }
  [[nodiscard]] bool is_open(std::uint16_t index) const { return open_[index]; }
  [[nodiscard]] std::size_t open() const { return open_.count(); }
  [[nodiscard]] std::uint32_t outstanding() const { return outstanding_; }  // requests

 private:
  StreamId stream_;
  std::uint32_t allocation_;
  std::bitset<kGroups> open_;
  std::vector<std::uint32_t> sizes_;
  std::uint32_t next_ = 0;
  std::uint32_t outstanding_ = 0;
};

}  // namespace smmulab::smmu::hw
