// SPDX-License-Identifier: Apache-2.0
#include "sim/frame_pool.hpp"

namespace smmulab::detail {

constinit thread_local FramePool frame_pool;

FreeFrame* refill_frames(std::size_t size_class) {
  constexpr std::size_t kFrames = 64;  // in a chunk, behind a line that links the chunks
  const std::size_t size = (size_class + 1) * kFrameGranule;
  auto* const chunk = static_cast<std::byte*>(
      ::operator new(kFrameGranule + size * kFrames, std::align_val_t{kFrameGranule}));
  frame_pool.chunks = ::new (chunk) void*(frame_pool.chunks);
  FreeFrame* head = nullptr;
  for (std::size_t i = kFrames; i-- > 0;) {
    head = ::new (chunk + kFrameGranule + i * size) FreeFrame{head};
  }
  return head;
}

}  // namespace smmulab::detail
