// SPDX-License-Identifier: Apache-2.0
// What a replay of a QEMU log tells on the way: enough to write a DMA trace.
#pragma once

#include <cstdint>
#include <optional>

namespace smmulab::workloads::qemu {

class LogSink {
 public:
  LogSink() = default;
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;
  virtual ~LogSink() = default;
  virtual void on_access(std::uint64_t sid, std::uint64_t asid, std::uint64_t iova,
                         std::uint64_t pa) = 0;
  // A leaf that a walk found; once for each walk.
  virtual void on_leaf(std::uint64_t asid, std::uint64_t iova, std::uint64_t pa, unsigned log2,
                       bool writable) = 0;
  // No ASID: all.
  virtual void on_invalidate(std::optional<std::uint64_t> asid) = 0;
  virtual void on_invalidate_range(std::optional<std::uint64_t> asid, std::uint64_t iova,
                                   std::uint64_t bytes) = 0;
  virtual void on_config_invalidate(std::uint64_t first_sid, std::uint64_t last_sid) = 0;
};

}  // namespace smmulab::workloads::qemu
