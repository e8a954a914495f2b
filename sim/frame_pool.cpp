// SPDX-License-Identifier: Apache-2.0
#include "sim/frame_pool.hpp"

#include <array>
#include <memory>
#include <new>
#include <vector>

namespace smmulab::detail {
#if !defined(__SANITIZE_ADDRESS__)
namespace {

constexpr std::size_t kGranule = 64;
constexpr std::size_t kClasses = 32;  // frames up to 2 KiB
constexpr std::size_t kChunkFrames = 64;

struct FreeFrame {
  FreeFrame* next;
};

class FramePool {
 public:
  void* allocate(std::size_t size_class) {
    FreeFrame* head = free_[size_class];
    if (head == nullptr) [[unlikely]] {
      head = refill(size_class);
    }
    free_[size_class] = head->next;
    return head;
  }

  void release(void* frame, std::size_t size_class) noexcept {
    free_[size_class] = ::new (frame) FreeFrame{free_[size_class]};
  }

 private:
  FreeFrame* refill(std::size_t size_class) {
    const std::size_t frame_size = (size_class + 1) * kGranule;
    chunks_.push_back(std::make_unique<std::byte[]>(frame_size * kChunkFrames));
    std::byte* chunk = chunks_.back().get();
    FreeFrame* head = nullptr;
    for (std::size_t i = kChunkFrames; i-- > 0;) {
      head = ::new (chunk + i * frame_size) FreeFrame{head};
    }
    return head;
  }

  std::array<FreeFrame*, kClasses> free_{};
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
};

// Leaked on purpose at thread exit: a frame may outlive other thread_local objects.
FramePool& pool() {
  static thread_local FramePool* const kPool = new FramePool;
  return *kPool;
}

}  // namespace
#endif

#if defined(__SANITIZE_ADDRESS__)
// Let AddressSanitizer see every frame.
void* allocate_frame(std::size_t size) {
  return ::operator new(size);
}
void release_frame(void* frame, std::size_t /*size*/) noexcept {
  ::operator delete(frame);
}
#else
void* allocate_frame(std::size_t size) {
  const std::size_t size_class = (size - 1) / kGranule;
  return size_class < kClasses ? pool().allocate(size_class) : ::operator new(size);
}

void release_frame(void* frame, std::size_t size) noexcept {
  const std::size_t size_class = (size - 1) / kGranule;
  if (size_class < kClasses) {
    pool().release(frame, size_class);
  } else {
    ::operator delete(frame);
  }
}
#endif

}  // namespace smmulab::detail
