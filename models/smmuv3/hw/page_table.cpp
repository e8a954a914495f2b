// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/page_table.hpp"

#include <algorithm>

#include "sim/check.hpp"

namespace smmulab::smmu::hw {
namespace {

using descriptor::Kind;

std::uint8_t start_of(const TableFormat& f) {
  return static_cast<std::uint8_t>(f.stage == 2 && f.concatenated
                                       ? concatenated_start_level(f.granule, f.input_bits)
                                       : start_level(f.granule, f.input_bits));
}

}  // namespace

PageTable::PageTable(FrameAllocator& frames, const TableFormat& format)
    : frames_(frames),
      memory_(frames.memory()),
      format_(format),
      start_level_(start_of(format)),
      root_log2_(std::max(root_bits(format.granule, start_level_, format.input_bits) + 3, 6U)),
      root_(frames.allocate(root_log2_)) {}

PageTable::~PageTable() {
  const std::uint64_t entries = std::uint64_t{1}
                                << root_bits(format_.granule, start_level_, format_.input_bits);
  for (std::uint64_t i = 0; i < entries; ++i) {
    const std::uint64_t word = memory_.peek64(root_ + i * 8);
    if (descriptor::kind(word, format_.granule, start_level_, format_.output_bits == 52) ==
        Kind::kTable) {
      free_table(next_table(word), start_level_ + 1U);
    }
  }
  frames_.free(root_, root_log2_);
}

bool PageTable::is_leaf_size(unsigned log2) const {
  for (unsigned level = start_level_; level <= kLastLevel; ++level) {
    if (level_log2(format_.granule, level) == log2) {
      return leaf_allowed(format_.granule, level, format_.output_bits == 52);
    }
  }
  return false;
}

unsigned PageTable::level_of(unsigned log2) const {
  SMMULAB_CHECK(is_leaf_size(log2), "a leaf size of the granule");
  unsigned level = kLastLevel;
  while (level_log2(format_.granule, level) != log2) {
    --level;
  }
  return level;
}

bool PageTable::in_range(std::uint64_t input, std::uint64_t size) const {
  const std::uint64_t last = input + size - 1;
  if (size == 0 || last < input) {
    return false;
  }
  if (format_.upper) {
    return (~input >> format_.input_bits) == 0;
  }
  return (last >> format_.input_bits) == 0;
}

std::uint64_t PageTable::entry_address(std::uint64_t table, unsigned level,
                                       std::uint64_t input) const {
  const Granule g = format_.granule;
  return table + 8 * (level == start_level_ ? root_index(g, level, format_.input_bits, input)
                                            : table_index(g, level, input));
}

std::uint64_t PageTable::next_table(std::uint64_t word) const {
  return descriptor::address(word, format_.granule, page_log2(format_.granule)) +
         format_.table_offset;
}

PageTable::Place PageTable::descend(std::uint64_t input) const {
  std::uint64_t table = root_;
  for (unsigned level = start_level_;; ++level) {
    const std::uint64_t address = entry_address(table, level, input);
    const std::uint64_t word = memory_.peek64(address);
    if (level == kLastLevel ||
        descriptor::kind(word, format_.granule, level, format_.output_bits == 52) != Kind::kTable) {
      return {address, word, level};
    }
    table = next_table(word);
  }
}

std::uint64_t PageTable::attributes(const Protection& p) const {
  std::uint64_t bits = descriptor::kInnerShareable;
  bits |= p.access_flag ? descriptor::kAccessFlag : 0;
  bits |= p.dirty_managed ? descriptor::kDbm : 0;
  if (format_.stage == 2) {
    bits |= p.read ? descriptor::kS2Read : 0;
    bits |= p.write ? descriptor::kS2Write : 0;
    bits |= p.execute ? 0 : descriptor::kUxn;
    return bits;
  }
  bits |= p.user ? descriptor::kApUser : 0;
  bits |= p.write ? 0 : descriptor::kApReadOnly;
  bits |= p.global ? 0 : descriptor::kNotGlobal;
  bits |= p.execute ? 0 : descriptor::kUxn | descriptor::kPxn;
  return bits;
}

MapError PageTable::map_leaf(std::uint64_t input, unsigned level, std::uint64_t leaf) {
  std::uint64_t table = root_;
  for (unsigned at = start_level_; at < level; ++at) {
    const std::uint64_t address = entry_address(table, at, input);
    std::uint64_t word = memory_.peek64(address);
    if ((word & descriptor::kValid) == 0) {
      const std::uint64_t made = frames_.allocate(page_log2(format_.granule));
      word = descriptor::make_table(made - format_.table_offset, format_.granule);
      memory_.write64(address, word);
    } else if (descriptor::kind(word, format_.granule, at, format_.output_bits == 52) !=
               Kind::kTable) {
      return MapError::kExists;
    }
    table = next_table(word);
  }
  const std::uint64_t address = entry_address(table, level, input);
  if ((memory_.peek64(address) & descriptor::kValid) != 0) {
    return MapError::kExists;
  }
  memory_.write64(address, leaf);
  return MapError::kNone;
}

MapError PageTable::map_pages(std::uint64_t input, std::uint64_t output, unsigned size_log2,
                              std::uint64_t count, const Protection& protection, bool contiguous) {
  const unsigned level = level_of(size_log2);
  if (((input | output) & low_mask(size_log2)) != 0) {
    return MapError::kUnaligned;
  }
  const std::uint64_t size = count << size_log2;
  if (!in_range(input, size) || ((output + size - 1) >> format_.output_bits) != 0) {
    return MapError::kRange;
  }
  const unsigned group = size_log2 + contiguous_log2(format_.granule, level);
  const std::uint64_t bits = attributes(protection);
  for (std::uint64_t done = 0; done < size; done += std::uint64_t{1} << size_log2) {
    // Is the whole group part of this mapping, and is its output as aligned as its input?
    const std::uint64_t first = (input + done) & ~low_mask(group);
    const bool grouped = contiguous && group > size_log2 && first >= input &&
                         low_mask(group) <= size - 1 - (first - input) &&
                         ((input ^ output) & low_mask(group)) == 0;
    const std::uint64_t leaf = descriptor::make_leaf(
        output + done, format_.granule, level, bits | (grouped ? descriptor::kContiguous : 0));
    if (const MapError error = map_leaf(input + done, level, leaf); error != MapError::kNone) {
      if (grouped && first != input + done) {
        break_group(descend(first));  // what stays of the group is no whole one
      }
      return error;
    }
  }
  return MapError::kNone;
}

unsigned PageTable::largest_leaf(std::uint64_t input, std::uint64_t output,
                                 std::uint64_t size) const {
  const Granule g = format_.granule;
  for (unsigned level = start_level_; level < kLastLevel; ++level) {
    const unsigned log2 = level_log2(g, level);
    if (leaf_allowed(g, level, format_.output_bits == 52) && low_mask(log2) < size &&
        ((input | output) & low_mask(log2)) == 0) {
      return log2;
    }
  }
  return page_log2(g);
}

MapError PageTable::map(std::uint64_t input, std::uint64_t output, std::uint64_t size,
                        const Protection& protection, bool contiguous) {
  if (((input | output | size) & low_mask(page_log2(format_.granule))) != 0) {
    return MapError::kUnaligned;
  }
  if (!in_range(input, size)) {
    return MapError::kRange;
  }
  while (size > 0) {
    // A run of one size: as many leaves of it as fit before a larger one does.
    const unsigned log2 = largest_leaf(input, output, size);
    std::uint64_t run = std::uint64_t{1} << log2;
    while (run < size && largest_leaf(input + run, output + run, size - run) == log2) {
      run += std::uint64_t{1} << log2;
    }
    if (const MapError error = map_pages(input, output, log2, run >> log2, protection, contiguous);
        error != MapError::kNone) {
      return error;
    }
    input += run;
    output += run;
    size -= run;
  }
  return MapError::kNone;
}

void PageTable::free_table(std::uint64_t table, unsigned level) {
  const Granule g = format_.granule;
  if (level < kLastLevel) {
    for (std::uint64_t i = 0; i < (std::uint64_t{1} << table_bits(g)); ++i) {
      const std::uint64_t word = memory_.peek64(table + i * 8);
      if (descriptor::kind(word, g, level, format_.output_bits == 52) == Kind::kTable) {
        free_table(next_table(word), level + 1);
      }
    }
  }
  frames_.free(table, page_log2(g));
  ++tables_freed_;
}

void PageTable::break_group(const Place& place) {
  const unsigned count_log2 = contiguous_log2(format_.granule, place.level);
  const std::uint64_t first = place.address & ~low_mask(count_log2 + 3);
  for (std::uint64_t i = 0; i < (std::uint64_t{1} << count_log2); ++i) {
    const std::uint64_t word = memory_.peek64(first + i * 8);
    memory_.write64(first + i * 8, word & ~descriptor::kContiguous);
  }
}

std::uint64_t PageTable::unmap(std::uint64_t input, std::uint64_t size) {
  const Granule g = format_.granule;
  if (!in_range(input, size)) {
    return 0;
  }
  std::uint64_t done = 0;
  while (done < size) {
    const std::uint64_t at = input + done;
    // From the root down to a leaf, or to a table that the rest of the range covers wholly.
    std::uint64_t table = root_;
    Place place{};
    bool is_table = false;
    for (unsigned level = start_level_;; ++level) {
      const std::uint64_t address = entry_address(table, level, at);
      place = {address, memory_.peek64(address), level};
      is_table = descriptor::kind(place.word, g, level, format_.output_bits == 52) == Kind::kTable;
      const std::uint64_t covers = low_mask(level_log2(g, level));
      if (!is_table || ((at & covers) == 0 && covers <= size - done - 1)) {
        break;
      }
      table = next_table(place.word);
    }
    const std::uint64_t covers = low_mask(level_log2(g, place.level));
    if ((place.word & descriptor::kValid) == 0 || (at & covers) != 0 || covers > size - done - 1) {
      return done;
    }
    if (is_table) {
      free_table(next_table(place.word), place.level + 1);
    } else if ((place.word & descriptor::kContiguous) != 0) {
      break_group(place);
    }
    memory_.write64(place.address, 0);
    done += covers + 1;
  }
  return done;
}

std::optional<std::uint64_t> PageTable::leaf_address(std::uint64_t input) const {
  if (!in_range(input, 1)) {
    return std::nullopt;
  }
  const Place place = descend(input);
  if (descriptor::kind(place.word, format_.granule, place.level, format_.output_bits == 52) !=
      Kind::kLeaf) {
    return std::nullopt;
  }
  return place.address;
}

std::optional<std::uint64_t> PageTable::output_of(std::uint64_t input) const {
  if (!leaf_address(input)) {
    return std::nullopt;
  }
  const Place place = descend(input);
  const unsigned log2 = level_log2(format_.granule, place.level);
  return descriptor::address(place.word, format_.granule, log2) | (input & low_mask(log2));
}

std::uint8_t address_bits_code(unsigned bits) {
  for (std::uint8_t code = 0; code < 7; ++code) {
    if (bits <= address_bits_of(code)) {
      return code;
    }
  }
  return 6;
}

void point_cd_at(Cd& cd, const PageTable& table) {
  const TableFormat& f = table.format();
  const auto tsz = static_cast<std::uint8_t>(64 - f.input_bits);
  cd.ips = std::max(cd.ips, address_bits_code(f.output_bits));
  if (f.upper) {
    cd.tg1 = f.granule == Granule::k4K ? 2 : f.granule == Granule::k16K ? 1 : 3;
    cd.t1sz = tsz;
    cd.ttb1 = table.root();
    cd.epd1 = false;
  } else {
    cd.tg0 = f.granule == Granule::k4K ? 0 : f.granule == Granule::k16K ? 2 : 1;
    cd.t0sz = tsz;
    cd.ttb0 = table.root();
    cd.epd0 = false;
  }
}

void point_ste_at(Ste& ste, const PageTable& table) {
  const TableFormat& f = table.format();
  ste.s2_granule = f.granule == Granule::k4K ? 0 : f.granule == Granule::k16K ? 2 : 1;
  ste.s2_t0sz = static_cast<std::uint8_t>(64 - f.input_bits);
  ste.s2_start =
      static_cast<std::uint8_t>((f.granule == Granule::k4K ? 2 : 3) - table.start_level());
  ste.s2_size = address_bits_code(f.output_bits);
  ste.s2_table = table.root();
  ste.s2_aarch64 = true;
}

}  // namespace smmulab::smmu::hw
