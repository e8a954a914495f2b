// SPDX-License-Identifier: Apache-2.0
// ConfigCache: STE and CD of a stream and substream in one entry, as MMU-600 and MMU-700 have them.
// A combined entry obeys the invalidations of both (16.2). Not modelled: STE.CONT (one entry for
// several streams), caches of level 1 descriptors.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/set_assoc.hpp"
#include "models/smmuv3/hw/stream_config.hpp"

namespace smmulab::smmu::hw {

struct ConfigEntry {
  StreamId stream;
  std::optional<Ssid> substream;
  StreamConfig config;
};

class ConfigCache {
  static auto same(StreamId stream, std::optional<Ssid> substream) {
    return [stream, substream](const ConfigEntry& entry) {
      return entry.stream == stream && entry.substream == substream;
    };
  }

 public:
  explicit ConfigCache(const CacheShape& shape) : cache_(shape) {}
  // Valid until the cache changes.
  [[nodiscard]] const StreamConfig* lookup(StreamId stream, std::optional<Ssid> substream) {
    ++lookups_;
    const ConfigEntry* const entry =
        cache_.find(set_of(stream, substream), mark_of(stream, substream), same(stream, substream));
    misses_ += entry == nullptr ? 1 : 0;
    return entry == nullptr ? nullptr : &entry->config;
  }
  void fill(StreamId stream, std::optional<Ssid> substream, const StreamConfig& config) {
    ConfigEntry* const entry = cache_.place(set_of(stream, substream), mark_of(stream, substream),
                                            same(stream, substream), [](const ConfigEntry&) {});
    if (entry != nullptr) {
      entry->stream = stream;
      entry->substream = substream;
      entry->config = config;
    }
  }
  std::uint32_t invalidate(const ConfigInvalidation& what) {
    return cache_.erase_if([&what](const ConfigEntry& entry) { return covers(what, entry); },
                           [](const ConfigEntry&) {});
  }
  // A request without substream uses CD 0.
  [[nodiscard]] static bool covers(const ConfigInvalidation& what, const ConfigEntry& entry) {
    const std::uint32_t sid = entry.stream.value();
    return sid >= what.first && sid <= what.last &&
           (!what.substream || entry.substream.value_or(Ssid{0}) == *what.substream);
  }
  [[nodiscard]] std::uint64_t lookups() const { return lookups_; }
  [[nodiscard]] std::uint64_t misses() const { return misses_; }
  [[nodiscard]] std::uint32_t size() const { return cache_.size(); }
  template <class Visit>
  void for_each(const Visit& visit) const {
    cache_.for_each(visit);
  }

 private:
  [[nodiscard]] std::uint32_t set_of(StreamId stream, std::optional<Ssid> substream) const {
    return cache_.set_of(stream.value() + (substream ? substream->value() * 0x9E37ULL + 1 : 0));
  }
  [[nodiscard]] static Mark mark_of(StreamId stream, std::optional<Ssid> substream) {
    return Mark{std::uint64_t{stream.value()} << 32U | substream.value_or(Ssid{}).value()};
  }
  SetAssoc<ConfigEntry> cache_;
  std::uint64_t lookups_ = 0;
  std::uint64_t misses_ = 0;
};

}  // namespace smmulab::smmu::hw
