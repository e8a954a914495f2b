// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/config_tables.hpp"

#include <algorithm>

#include "models/smmuv3/hw/bits.hpp"
#include "sim/check.hpp"

namespace smmulab::smmu::hw {
namespace {

void write_entry(Memory& memory, std::uint64_t address, const EntryWords& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    memory.write64(address + i * 8, words[i]);
  }
}

std::uint64_t root_of_streams(FrameAllocator& frames, const StreamTable::Shape& shape) {
  const unsigned log2 = shape.two_level ? std::max(shape.log2_size - shape.split, 0) + 3
                                        : shape.log2_size + kEntryLog2;
  return frames.allocate(std::max(log2, 6U));
}

}  // namespace

StreamTable::StreamTable(FrameAllocator& frames, const Shape& shape)
    : frames_(frames),
      base_{root_of_streams(frames, shape), shape.two_level, shape.log2_size, shape.split} {}

std::uint64_t StreamTable::address_of(StreamId stream) const {
  const std::uint64_t sid = stream.value();
  if (!base_.two_level) {
    return base_.address + (sid << kEntryLog2);
  }
  const L1Std l1 = decode_l1std(frames_.memory().peek64(base_.address + (sid >> base_.split) * 8));
  return l1.span == 0 ? 0 : l1.l2_ptr + ((sid & low_mask(base_.split)) << kEntryLog2);
}

void StreamTable::write(StreamId stream, const Ste& ste) {
  SMMULAB_CHECK((std::uint64_t{stream.value()} >> base_.log2_size) == 0, "StreamID in the table");
  if (address_of(stream) == 0) {
    const L1Std l1{static_cast<std::uint8_t>(base_.split + 1),
                   frames_.allocate(base_.split + kEntryLog2)};
    frames_.memory().write64(base_.address + (stream.value() >> base_.split) * 8ULL, encode(l1));
  }
  write_entry(frames_.memory(), address_of(stream), encode(ste));
}

ContextTable::ContextTable(FrameAllocator& frames, Format format, std::uint8_t cd_max,
                           std::uint64_t table_offset)
    : frames_(frames), format_(format), cd_max_(cd_max), offset_(table_offset), root_(0) {
  const unsigned log2 = format == Format::kLinear
                            ? cd_max + kEntryLog2
                            : std::max<unsigned>(cd_max, leaf_log2()) - leaf_log2() + 3;
  root_ = frames.allocate(std::max(log2, 6U));
}

unsigned ContextTable::leaf_log2() const {
  return format_ == Format::k4KLeaves ? 6 : 10;
}

std::uint64_t ContextTable::address_of(Ssid substream) const {
  const std::uint64_t ssid = substream.value();
  if (format_ == Format::kLinear) {
    return root_ + (ssid << kEntryLog2);
  }
  const L1Cd l1 = decode_l1cd(frames_.memory().peek64(root_ + (ssid >> leaf_log2()) * 8));
  return l1.valid ? l1.l2_ptr + offset_ + ((ssid & low_mask(leaf_log2())) << kEntryLog2) : 0;
}

void ContextTable::write(Ssid substream, const Cd& cd) {
  SMMULAB_CHECK((std::uint64_t{substream.value()} >> cd_max_) == 0, "SubstreamID in the table");
  if (address_of(substream) == 0) {
    const L1Cd l1{true, frames_.allocate(leaf_log2() + kEntryLog2) - offset_};
    frames_.memory().write64(root_ + (substream.value() >> leaf_log2()) * 8ULL, encode(l1));
  }
  write_entry(frames_.memory(), address_of(substream), encode(cd));
}

void ContextTable::point_ste(Ste& ste) const {
  ste.s1_context_ptr = root_ - offset_;
  ste.s1_format = static_cast<std::uint8_t>(format_);
  ste.s1_cd_max = cd_max_;
}

}  // namespace smmulab::smmu::hw
