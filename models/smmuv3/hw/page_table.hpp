// SPDX-License-Identifier: Apache-2.0
// PageTable: builds stage 1 and stage 2 tables in simulated memory: pages, blocks, contiguous
// groups, concatenated stage 2 roots. What software (io-pgtable) does, without its locks and costs.
// Memory use is that of the tables; nothing is kept for each page.
//
// Blocks are not split: unmapping a part of one stops there (Linux since 6.13 does the same). A
// contiguous group that loses a member loses its hint. Not modelled: break-before-make.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/descriptor.hpp"
#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/structures.hpp"

namespace smmulab::smmu::hw {

struct TableFormat {
  std::uint8_t stage = 1;
  Granule granule = Granule::k4K;
  std::uint8_t input_bits = 48;
  std::uint8_t output_bits = 48;
  bool upper = false;        // stage 1: for TTB1, input addresses with the top bits set
  bool concatenated = true;  // stage 2: up to 16 root tables side by side save a level
  // Where the table lies for the SMMU: physical address minus this (an IPA, if the table of stage 1
  // is behind a stage 2 that maps it so).
  std::uint64_t table_offset = 0;
};

struct Protection {
  bool read = true;
  bool write = true;
  bool user = true;
  bool execute = false;
  bool global = false;
  bool access_flag = true;
  bool dirty_managed = false;  // DBM; with write = false: writable clean
};

enum class MapError : std::uint8_t { kNone, kExists, kRange, kUnaligned };

class PageTable {
 public:
  PageTable(FrameAllocator& frames, const TableFormat& format);
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;
  PageTable(PageTable&&) = delete;
  PageTable& operator=(PageTable&&) = delete;
  ~PageTable();

  // `count` leaves of one size. Stops at the first that cannot be mapped; those before it stay.
  // REQUIRES: page_log2 is a leaf size of the granule.
  [[nodiscard]] MapError map_pages(std::uint64_t input, std::uint64_t output, unsigned page_log2,
                                   std::uint64_t count, const Protection& protection,
                                   bool contiguous = false);
  // Any size that is a multiple of the granule: largest leaves that fit, contiguous groups where
  // they fit if `contiguous`.
  [[nodiscard]] MapError map(std::uint64_t input, std::uint64_t output, std::uint64_t size,
                             const Protection& protection, bool contiguous = false);
  // Bytes unmapped, from `input` on; less than `size` where nothing or a part of a block is met.
  // Tables that the range covers wholly are freed.
  std::uint64_t unmap(std::uint64_t input, std::uint64_t size);
  [[nodiscard]] std::optional<std::uint64_t> output_of(std::uint64_t input) const;

  // TTB, as CD or STE carry it.
  [[nodiscard]] std::uint64_t root() const { return root_ - format_.table_offset; }
  [[nodiscard]] std::uint8_t start_level() const { return start_level_; }
  [[nodiscard]] const TableFormat& format() const { return format_; }
  [[nodiscard]] std::uint64_t tables_freed() const { return tables_freed_; }
  [[nodiscard]] bool is_leaf_size(unsigned log2) const;
  // Address (physical) of the leaf descriptor of an input address, if it is mapped.
  [[nodiscard]] std::optional<std::uint64_t> leaf_address(std::uint64_t input) const;

 private:
  struct Place {
    std::uint64_t address;
    std::uint64_t word;
    unsigned level;
  };
  [[nodiscard]] bool in_range(std::uint64_t input, std::uint64_t size) const;
  [[nodiscard]] unsigned level_of(unsigned page_log2) const;
  [[nodiscard]] std::uint64_t entry_address(std::uint64_t table, unsigned level,
                                            std::uint64_t input) const;
  [[nodiscard]] std::uint64_t next_table(std::uint64_t word) const;
  [[nodiscard]] Place descend(std::uint64_t input) const;
  [[nodiscard]] std::uint64_t attributes(const Protection& protection) const;
  MapError map_leaf(std::uint64_t input, unsigned level, std::uint64_t leaf);
  void free_table(std::uint64_t table, unsigned level);
  void break_group(const Place& place);
  [[nodiscard]] unsigned largest_leaf(std::uint64_t input, std::uint64_t output,
                                      std::uint64_t size) const;

  FrameAllocator& frames_;
  Memory& memory_;
  TableFormat format_;
  std::uint8_t start_level_;
  unsigned root_log2_;
  std::uint64_t root_;
  std::uint64_t tables_freed_ = 0;
};

// The fields of a CD or STE that say where and how a table is.
void point_cd_at(Cd& cd, const PageTable& table);
void point_ste_at(Ste& ste, const PageTable& table);
// The 3-bit code of IPS, S2PS and OAS.
[[nodiscard]] std::uint8_t address_bits_code(unsigned bits);

}  // namespace smmulab::smmu::hw
