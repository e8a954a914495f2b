// SPDX-License-Identifier: Apache-2.0
// Memory for coroutine frames: free lists by size class, one set per host thread, so that starting
// a task costs a pop and ending it a push. Frames above the largest class go to the global heap.
#pragma once

#include <cstddef>

namespace smmulab::detail {

// REQUIRES: release() gets the size that allocate() was called with, on the same host thread.
[[nodiscard]] void* allocate_frame(std::size_t size);
void release_frame(void* frame, std::size_t size) noexcept;

}  // namespace smmulab::detail
