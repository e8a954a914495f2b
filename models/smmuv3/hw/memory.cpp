// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/memory.hpp"

#include "models/smmuv3/hw/bits.hpp"
#include "sim/check.hpp"

namespace smmulab::smmu::hw {

Memory::Directory* Memory::directory_of(std::uint64_t number) const {
  const auto found = directories_.find(number);
  if (found == directories_.end()) {
    return nullptr;
  }
  recent_[number % kRecent] = {number, found->second.get()};
  return found->second.get();
}

Memory::Page& Memory::make(std::uint64_t address) {
  SMMULAB_CHECK(address % 8 == 0, "memory is accessed by aligned words");
  if (Page* const page = find(address)) {
    return *page;
  }
  auto& directory = directories_[address >> kDirectoryLog2];
  if (!directory) {
    directory = std::make_unique<Directory>();
  }
  ++pages_;
  return *((*directory)[page_of(address)] = std::make_unique<Page>());
}

std::uint64_t Memory::peek64(std::uint64_t address) const {
  const Page* const page = find(address);
  return page == nullptr ? 0 : page->words[word_of(address)];
}

void Memory::write64(std::uint64_t address, std::uint64_t value) {
  make(address).words[word_of(address)] = value;
}

bool Memory::try_write64(std::uint64_t address, std::uint64_t value) {
  if ((address >> address_bits_) != 0) {
    return false;
  }
  Page& page = make(address);
  if (page.poisoned) {
    return false;
  }
  page.words[word_of(address)] = value;
  return true;
}

bool Memory::compare_exchange64(std::uint64_t address, std::uint64_t expected,
                                std::uint64_t desired) {
  std::uint64_t& word = make(address).words[word_of(address)];
  if (word != expected) {
    return false;
  }
  word = desired;
  return true;
}

void Memory::poison(std::uint64_t address) {
  make(address & ~low_mask(3)).poisoned = true;
  any_poisoned_ = true;
}

void Memory::zero(std::uint64_t address, std::uint64_t bytes) {
  for (std::uint64_t at = address; at < address + bytes; at += 8) {
    if (Page* const page = find(at)) {
      page->words[word_of(at)] = 0;
    } else {
      at |= low_mask(kPageLog2) & ~low_mask(3);  // the rest of this page is zero as it is
    }
  }
}

std::uint64_t FrameAllocator::allocate(unsigned size_log2) {
  SMMULAB_CHECK(size_log2 >= 6 && size_log2 < 48, "frames are 64 bytes at least");
  const std::uint64_t size = std::uint64_t{1} << size_log2;
  allocated_ += size;
  std::vector<std::uint64_t>& freed = free_[size_log2];
  if (!freed.empty()) {
    const std::uint64_t address = freed.back();
    freed.pop_back();
    return address;
  }
  const std::uint64_t address = (next_ + size - 1) & ~(size - 1);
  next_ = address + size;
  return address;
}

void FrameAllocator::release(const Held& held) {
  for (const Frame& frame : held) {
    free(frame.address, frame.size_log2);
  }
}

void FrameAllocator::free(std::uint64_t address, unsigned size_log2) {
  if (holding_) {
    held_.push_back({address, size_log2});
    return;
  }
  const std::uint64_t size = std::uint64_t{1} << size_log2;
  memory_.zero(address, size);
  allocated_ -= size;
  free_[size_log2].push_back(address);
}

}  // namespace smmulab::smmu::hw
