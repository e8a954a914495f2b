// SPDX-License-Identifier: Apache-2.0
// Op: one recorded or generated iommufd / VFIO operation of a trace, as docs/trace-format.md
// defines it. Operations follow the ioctls of Linux 6.6-6.15 (iommufd and the VFIO cdev), and what
// the kernel does by itself: access_*, pin and unpin of its drivers, MSIs, PCI resets (7.0). Small
// and trivially copyable, so that queues of them can be spilled to a file.
// Not modelled: a guest's page table and the addresses of its invalidations (their number is), the
// bitmap of dirty pages, page faults (their queues are), the memory behind a mapping (its layout is
// the replay's choice).
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "sim/ids.hpp"
#include "sim/time.hpp"

namespace smmulab::workloads {

using ThreadIndex = Id<struct ThreadTag, std::uint32_t>;  // a thread as the trace numbers it
inline constexpr ThreadIndex kNoThread{~0U};              // of a phase line
inline constexpr ObjectId kNoObject{0};                   // iommufd ids start at 1

enum class OpKind : std::uint8_t {
  kBind,
  kUnbind,
  kIoasAlloc,
  kIoasDestroy,
  kHwptAlloc,
  kHwptDestroy,
  kAttach,
  kReplace,
  kDetach,
  kMap,
  kUnmap,
  kUnmapAll,
  kDma,
  kCopy,
  kAccessCreate,
  kAccessDestroy,
  kAccessAttach,
  kAccessDetach,
  kPin,
  kUnpin,
  kHwptInvalidate,
  kSetDirty,
  kGetDirty,
  kFaultAlloc,
  kFaultDestroy,
  kAttachPasid,
  kDetachPasid,
  kMsiPrepare,
  kResetBegin,
  kResetDone,
  kAllowIovas,
  kPhase,  // not an operation: a barrier between operations
};
inline constexpr std::size_t kOpKinds = static_cast<std::size_t>(OpKind::kPhase);  // without kPhase

// flags= of access_create: its owner lets go of nothing that is unmapped.
inline constexpr std::uint32_t kAccessIgnoresUnmap = 1;

struct Op {
  static constexpr std::int16_t kNoRet = 1;  // recorded results are 0 or -errno
  static constexpr Ps kNoDuration{-1};

  SimTime issue{};  // since the start of the trace
  // Number of operations before this one in the file; of a phase: operations before the barrier.
  std::uint64_t seq = 0;
  std::uint64_t line = 0;     // in the file read, from 1; 0 if not from a file
  Ps duration = kNoDuration;  // recorded
  Iova iova{};
  Bytes length{};
  Iova source{};      // copy: from=
  ObjectId object{};  // the object made, destroyed, mapped into or acted on: ioas=, hwpt=, access=
  // attach, replace: hwpt or ioas asked for; hwpt_alloc: ioas or parent hwpt; copy: src=;
  // access_attach: ioas=
  ObjectId pt{};
  ObjectId old{};  // attach, replace, detach: the recorded earlier pt, or kNoObject
  // attach, replace by ioas: the automatic hwpt the kernel chose, or kNoObject; hwpt_alloc: fault=
  ObjectId got{};
  DeviceIndex device{};
  ThreadIndex thread{};
  std::uint32_t flags = 0;    // flags=; a phase: index of its name in the reader
  std::uint32_t number = 0;   // pasid=, count=
  std::int16_t ret = kNoRet;  // recorded result: 0 or -errno
  OpKind kind = OpKind::kBind;

  [[nodiscard]] constexpr bool has_ret() const { return ret != kNoRet; }
  [[nodiscard]] constexpr bool has_duration() const { return duration >= Ps{0}; }
  // Recorded with an error, so it made, mapped and destroyed nothing.
  [[nodiscard]] constexpr bool failed() const { return ret < 0; }
  // First and last byte of iova= len=. REQUIRES: length > 0, no overflow.
  [[nodiscard]] constexpr std::uint64_t first() const { return iova.value(); }
  [[nodiscard]] constexpr std::uint64_t last() const { return iova.value() + (length.value() - 1); }
};
static_assert(sizeof(Op) <= 96 && std::is_trivially_copyable_v<Op>);

// The word of the trace format: "hwpt_alloc".
[[nodiscard]] std::string_view op_name(OpKind kind);

}  // namespace smmulab::workloads
