// SPDX-License-Identifier: Apache-2.0
// StallBuffer: transactions that wait for software, by their STAG (IHI 0070 3.12.2, 4.7.1, 4.7.2).
// As many as IDR5.STALL_MAX, at most 2^16. A STAG is used again only after a RESUME or STALL_TERM
// named its transaction. A RESUME must name both StreamID and STAG, or nothing happens. Not
// modelled: early retry, suppression of duplicate stall records (both optional).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "sim/check.hpp"
#include "sim/ids.hpp"

namespace smmulab::smmu::hw {

class StallBuffer {
 public:
  explicit StallBuffer(std::uint32_t capacity) : entries_(capacity) {
    SMMULAB_CHECK(capacity <= 1U << 16U, "a STAG has 16 bits");
    for (std::uint32_t i = capacity; i-- > 0;) {
      free_.push_back(static_cast<std::uint16_t>(i));
    }
  }
  [[nodiscard]] bool full() const { return free_.empty(); }
  [[nodiscard]] std::size_t size() const { return entries_.size() - free_.size(); }

  // `cookie` is the transaction's. REQUIRES: not full.
  std::uint16_t hold(StreamId stream, std::uint64_t cookie) {
    const std::uint16_t stag = free_.back();
    free_.pop_back();
    entries_[stag] = {true, stream, cookie};
    return stag;
  }
  // The cookie; the STAG is free. Nothing: no such transaction.
  std::optional<std::uint64_t> release(StreamId stream, std::uint16_t stag) {
    if (stag >= entries_.size() || !entries_[stag].used || entries_[stag].stream != stream) {
      return std::nullopt;
    }
    entries_[stag].used = false;
    free_.push_back(stag);
    return entries_[stag].cookie;
  }
  // Cookies of all of a stream, or of all, in the order of their STAGs.
  std::vector<std::uint64_t> release_all(std::optional<StreamId> stream = {}) {
    std::vector<std::uint64_t> cookies;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].used && (!stream || entries_[i].stream == *stream)) {
        cookies.push_back(*release(entries_[i].stream, static_cast<std::uint16_t>(i)));
      }
    }
    return cookies;
  }

 private:
  struct Entry {
    bool used = false;
    StreamId stream;
    std::uint64_t cookie = 0;
  };
  std::vector<Entry> entries_;
  std::vector<std::uint16_t> free_;
};

}  // namespace smmulab::smmu::hw
