// SPDX-License-Identifier: Apache-2.0
// Strong integer types: ids, addresses and sizes that do not convert into each other.
#pragma once

#include <compare>
#include <concepts>
#include <cstdint>

namespace smmulab {

template <class Tag, std::unsigned_integral Rep>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value_(v) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Id, Id) = default;

 private:
  Rep value_ = 0;
};

using Iova = Id<struct IovaTag, std::uint64_t>;        // I/O virtual address, bytes
using Pa = Id<struct PaTag, std::uint64_t>;            // physical address, bytes
using Bytes = Id<struct BytesTag, std::uint64_t>;      // a size in bytes
using Pages = Id<struct PagesTag, std::uint64_t>;      // a count of 4 KiB pages
using StreamId = Id<struct StreamTag, std::uint32_t>;  // SMMUv3 StreamID
using Asid = Id<struct AsidTag, std::uint16_t>;
using Vmid = Id<struct VmidTag, std::uint16_t>;
using ObjectId =
    Id<struct ObjectTag, std::uint32_t>;  // an iommufd object id, as the trace names it
using DeviceIndex = Id<struct DeviceTag, std::uint32_t>;
using GroupId = Id<struct GroupTag, std::uint32_t>;
using DevSetId = Id<struct DevSetTag, std::uint32_t>;
using SmmuIndex = Id<struct SmmuTag, std::uint32_t>;
using CpuId = Id<struct CpuTag, std::uint32_t>;

}  // namespace smmulab
