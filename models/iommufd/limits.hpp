// SPDX-License-Identifier: Apache-2.0
// Numbers and flags of iommufd's interface that more than one file needs. Sources: Linux 6.12
// include/uapi/linux/iommufd.h, drivers/iommu/iommufd/hw_pagetable.c, drivers/iommu/arm/arm-smmu-v3
// (arm-smmu-v3.h); Linux 6.15 for PASIDs.
#pragma once

#include <cstdint>

#include "sim/ids.hpp"

namespace smmulab::iommufd {

inline constexpr std::uint64_t kPage = 4096;  // PAGE_SIZE, bytes
// The last byte a domain can map: 48-bit input addresses (no VAX).
inline constexpr std::uint64_t kApertureEnd = (1ULL << 48U) - 1;
// MSI_IOVA_BASE and MSI_IOVA_LENGTH: each device reserves them in its ioas.
inline constexpr Iova kMsiBase{0x8000000};
inline constexpr Bytes kMsiLength{0x100000};
inline constexpr std::uint32_t kMaxPasid = (1U << 20U) - 1;    // SSIDSIZE 20; 0 is the RID
inline constexpr std::uint32_t kMaxInvalidations = 1U << 19U;  // of IOMMU_HWPT_INVALIDATE
inline constexpr std::uint32_t kMaxUnmapTries = 100;           // iopt_unmap_iova_range()

// Flags of IOMMU_HWPT_ALLOC.
struct HwptFlag {
  static constexpr std::uint32_t kNestParent = 1;
  static constexpr std::uint32_t kDirtyTracking = 2;
  static constexpr std::uint32_t kFaultIdValid = 4;
  static constexpr std::uint32_t kPasid = 8;
  static constexpr std::uint32_t kAll = kNestParent | kDirtyTracking | kFaultIdValid | kPasid;
};
inline constexpr std::uint32_t kDirtyEnable = 1;   // of IOMMU_HWPT_SET_DIRTY_TRACKING
inline constexpr std::uint32_t kDirtyNoClear = 1;  // of IOMMU_HWPT_GET_DIRTY_BITMAP

}  // namespace smmulab::iommufd
