// SPDX-License-Identifier: Apache-2.0
// Memory for coroutine frames: free lists by size class, one set per host thread, so that starting
// a task costs a pop and ending it a push. Frames above the largest class go to the global heap,
// and all of them under AddressSanitizer, which is to see each.
#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace smmulab::detail {

struct FreeFrame {
  FreeFrame* next;
};

inline constexpr std::size_t kFrameGranule = 64;  // bytes; a cache line, on which frames begin
inline constexpr std::size_t kFrameClasses = 32;  // frames up to 2 KiB

struct FramePool {
  std::array<FreeFrame*, kFrameClasses> free{};
  void* chunks = nullptr;  // never given back: a frame may outlive other thread_local objects
};

// No initializer to run: using it is reading it.
extern constinit thread_local FramePool frame_pool;

// Puts free frames of the class into the pool; gives the first.
[[nodiscard]] FreeFrame* refill_frames(std::size_t size_class);

// REQUIRES: release_frame() gets the size that allocate_frame() was called with, on the same host
// thread.
[[nodiscard]] inline void* allocate_frame(std::size_t size) {
#if !defined(__SANITIZE_ADDRESS__)
  const std::size_t size_class = (size - 1) / kFrameGranule;
  if (size_class < kFrameClasses) {
    FreeFrame* frame = frame_pool.free[size_class];
    if (frame == nullptr) [[unlikely]] {
      frame = refill_frames(size_class);
    }
    frame_pool.free[size_class] = frame->next;
    return frame;
  }
#endif
  return ::operator new(size);
}

inline void release_frame(void* frame, [[maybe_unused]] std::size_t size) noexcept {
#if !defined(__SANITIZE_ADDRESS__)
  const std::size_t size_class = (size - 1) / kFrameGranule;
  if (size_class < kFrameClasses) {
    frame_pool.free[size_class] = ::new (frame) FreeFrame{frame_pool.free[size_class]};
    return;
  }
#endif
  ::operator delete(frame);
}

}  // namespace smmulab::detail
