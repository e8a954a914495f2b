// SPDX-License-Identifier: Apache-2.0
// Builders of stream tables and context descriptor tables in simulated memory, linear or with two
// levels (IHI 0070 3.3). Level 2 tables come into being with their first entry.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/structures.hpp"

namespace smmulab::smmu::hw {

class StreamTable {
 public:
  struct Shape {
    std::uint8_t log2_size = 16;
    bool two_level = true;
    std::uint8_t split = 8;  // Linux: STRTAB_SPLIT
  };
  StreamTable(FrameAllocator& frames, const Shape& shape);
  void write(StreamId stream, const Ste& ste);  // REQUIRES: stream is in the table
  [[nodiscard]] const StreamTableBase& base() const { return base_; }
  // Physical address of the entry; 0 if its level 2 table is not there.
  [[nodiscard]] std::uint64_t address_of(StreamId stream) const;

 private:
  FrameAllocator& frames_;
  StreamTableBase base_;
};

class ContextTable {
 public:
  enum class Format : std::uint8_t { kLinear = 0, k4KLeaves = 1, k64KLeaves = 2 };
  // `table_offset` as in TableFormat. cd_max: log2 of the number of CDs.
  ContextTable(FrameAllocator& frames, Format format, std::uint8_t cd_max,
               std::uint64_t table_offset = 0);
  void write(Ssid substream, const Cd& cd);  // REQUIRES: substream is in the table
  void point_ste(Ste& ste) const;            // S1ContextPtr, S1Fmt, S1CDMax
  [[nodiscard]] std::uint64_t address_of(Ssid substream) const;  // 0: no such leaf table

 private:
  [[nodiscard]] unsigned leaf_log2() const;
  FrameAllocator& frames_;
  Format format_;
  std::uint8_t cd_max_;
  std::uint64_t offset_;
  std::uint64_t root_;
};

}  // namespace smmulab::smmu::hw
