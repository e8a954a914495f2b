// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_series.hpp"

#include <algorithm>
#include <bit>

#include "models/smmuv3/driver/invalidation.hpp"
#include "models/smmuv3/hw/command.hpp"

namespace smmulab::smmu {
namespace {

constexpr unsigned kPageLog2 = 12;
constexpr std::uint64_t kPage = 1ULL << kPageLog2;
constexpr std::uint64_t kMostNum = 31;  // NUM counts from one
constexpr std::uint8_t kGranule4K = 1;  // TG of a range command

hw::Opcode opcode_of(Command kind) {
  return static_cast<hw::Opcode>(command_opcode(kind));
}

// TTL: the level of the leaves.
std::uint8_t level_of(std::uint64_t granule) {
  return static_cast<std::uint8_t>(4 - (static_cast<unsigned>(std::countr_zero(granule)) - 3) /
                                           (kPageLog2 - 3));
}

}  // namespace

AtcSpan atc_span(std::uint64_t iova, std::uint64_t size) {
  if (size == 0) {
    return {};
  }
  const std::uint64_t first = iova >> kPageLog2;
  const std::uint64_t last = (iova + size - 1) >> kPageLog2;
  const auto log2 = static_cast<unsigned>(std::bit_width(first ^ last));
  return {(first & ~((1ULL << log2) - 1)) << kPageLog2, static_cast<std::uint8_t>(log2)};
}

CommandSeries CommandSeries::cfgi_ste(StreamId stream) {
  CommandSeries s(Command::kCfgiSte, 1);
  s.stream_ = stream;
  return s;
}

CommandSeries CommandSeries::prefetch_config(StreamId stream) {
  CommandSeries s(Command::kPrefetchConfig, 1);
  s.stream_ = stream;
  return s;
}

CommandSeries CommandSeries::cfgi_cd(const std::vector<StreamId>& streams, std::uint32_t ssid,
                                     bool leaf) {
  CommandSeries s(Command::kCfgiCd, streams.size());
  s.streams_ = &streams;
  s.ssid_ = ssid;
  s.leaf_ = leaf;
  return s;
}

CommandSeries CommandSeries::atc_inv(const std::vector<StreamId>& streams, const AtcSpan& span,
                                     std::uint32_t ssid) {
  CommandSeries s(Command::kAtcInv, streams.size());
  s.streams_ = &streams;
  s.span_ = span;
  s.ssid_ = ssid;
  return s;
}

CommandSeries CommandSeries::tlbi_asid(Asid asid) {
  CommandSeries s(Command::kTlbiNhAsid, 1);
  s.asid_ = asid;
  return s;
}

CommandSeries CommandSeries::tlbi_vmid(Vmid vmid) {
  CommandSeries s(Command::kTlbiS12Vmall, 1);
  s.vmid_ = vmid;
  return s;
}

CommandSeries CommandSeries::tlbi_nh_all(Vmid vmid) {
  CommandSeries s(Command::kTlbiNhAll, 1);
  s.vmid_ = vmid;
  return s;
}

CommandSeries CommandSeries::tlbi_guest(Vmid vmid) {
  CommandSeries s(Command::kTlbiNhVa, 1);
  s.vmid_ = vmid;
  return s;
}

CommandSeries CommandSeries::tlbi_va(Asid asid, const Range& range) {
  CommandSeries s(Command::kTlbiNhVa,
                  tlbi_commands(range.size, range.granule, kPage, range.range_inv, range.leaf));
  s.asid_ = asid;
  s.range_ = range;
  s.pages_ = range.range_inv ? range.size / kPage : 0;
  if (!range.leaf && (s.pages_ & kMostNum) == 1) {
    ++s.pages_;
  }
  return s;
}

CommandSeries CommandSeries::tlbi_ipa(Vmid vmid, const Range& range) {
  CommandSeries s = tlbi_va(Asid{}, range);
  s.kind_ = Command::kTlbiS2Ipa;
  s.vmid_ = vmid;
  return s;
}

CommandWords CommandSeries::next_of_range() {
  hw::Command c;
  c.opcode = opcode_of(kind_);
  c.asid = asid_;
  c.vmid = vmid_;
  c.leaf = range_.leaf;
  c.address = range_.iova;
  if (!range_.range_inv) {
    range_.iova += range_.granule;
    return encode(c);
  }
  const auto scale = static_cast<unsigned>(std::countr_zero(pages_));
  const std::uint64_t num = std::min((pages_ >> scale) & kMostNum, kMostNum);
  c.tg = kGranule4K;
  c.scale = static_cast<std::uint8_t>(scale);
  c.num = static_cast<std::uint8_t>(num - 1);
  c.ttl = range_.leaf ? level_of(range_.granule) : std::uint8_t{0};
  range_.iova += (num << scale) * kPage;
  pages_ -= num << scale;
  return encode(c);
}

CommandWords CommandSeries::next() {
  if (range_.size != 0) {
    return next_of_range();
  }
  hw::Command c;
  c.opcode = opcode_of(kind_);
  c.stream = streams_ == nullptr ? stream_ : (*streams_)[at_++];
  c.substream = hw::Ssid{ssid_};
  c.asid = asid_;
  c.vmid = vmid_;
  c.leaf = leaf_ && kind_ != Command::kPrefetchConfig;
  if (kind_ == Command::kAtcInv) {
    c.address = span_.address;
    c.size = span_.size;
    c.substream_valid = ssid_ != 0;
  }
  return encode(c);
}

}  // namespace smmulab::smmu
