// SPDX-License-Identifier: Apache-2.0
// DMA traces: what devices access and what the driver maps and invalidates meanwhile, one operation
// a line; docs/dma-trace.md has the format. A space is a stage 1 address space, named by its ASID.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/ids.hpp"
#include "workloads/byte_stream.hpp"
#include "workloads/recorded_dma.hpp"

namespace smmulab::workloads::dma {

struct DmaOp {
  enum class Kind : std::uint8_t {
    kMap,
    kUnmap,
    kAccess,
    kInvAll,
    kInvSpace,
    kInvRange,
    kCfgi,
    kCfgiAll
  };
  Kind kind = Kind::kAccess;
  bool write = false;       // access
  bool read_only = false;   // map
  bool contiguous = false;  // map: with contiguous groups where they fit
  std::uint16_t space = 0;
  std::uint32_t stream = 0;
  std::uint64_t iova = 0, pa = 0, size = 0;
  std::size_t line = 0;  // 0: not from a file
  friend bool operator==(const DmaOp&, const DmaOp&) = default;
};

// Reads a whole trace (plain or zstd). Throws TraceError with line and column.
[[nodiscard]] std::vector<DmaOp> read_dma_trace(const std::string& path);
// The accesses alone, of a trace that is checked as a whole.
[[nodiscard]] RecordedDma read_recorded_dma(const std::string& path);
// The line of an operation, without its end.
[[nodiscard]] std::string to_text(const DmaOp& op);

class DmaTraceWriter {
 public:
  explicit DmaTraceWriter(const std::string& path);
  void comment(const std::string& text);
  void write(const DmaOp& op);
  void commit();
  [[nodiscard]] std::uint64_t accesses() const { return accesses_; }

 private:
  std::unique_ptr<ByteSink> sink_;
  std::uint64_t accesses_ = 0;
};

// "4096", "0x1000", "64k", "2M", "1G"; nothing if it is none.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace smmulab::workloads::dma
