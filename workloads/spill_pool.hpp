// SPDX-License-Identifier: Apache-2.0
// SpillPool: equal-sized chunks of bytes, in memory up to a budget and in one unlinked temporary
// file (in $TMPDIR, else /tmp) beyond it. One pool serves many SpillQueues. The file is made when
// first needed, its slots are reused, and it is gone when the pool (or the process) is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace smmulab::workloads {

class SpillPool {
 public:
  static constexpr std::size_t kDefaultChunk = 16 * 1024;

  explicit SpillPool(std::size_t budget_bytes, std::size_t chunk_bytes = kDefaultChunk);
  SpillPool(const SpillPool&) = delete;
  SpillPool& operator=(const SpillPool&) = delete;
  ~SpillPool();

  [[nodiscard]] std::size_t chunk_bytes() const { return chunk_bytes_; }
  // Takes the bytes of one more chunk out of the budget, if they are left.
  [[nodiscard]] bool reserve();
  void release() { used_ -= chunk_bytes_; }

  // Writes a chunk of at most chunk_bytes() into a slot of the file. Throws ConfigError.
  [[nodiscard]] std::uint32_t store(std::span<const std::byte> chunk);
  // Reads it back and frees the slot. Throws ConfigError.
  void load(std::uint32_t slot, std::span<std::byte> chunk);
  void discard(std::uint32_t slot) { free_.push_back(slot); }

  [[nodiscard]] std::size_t bytes_in_memory() const { return used_; }
  [[nodiscard]] std::uint64_t file_bytes() const { return std::uint64_t{slots_} * chunk_bytes_; }

 private:
  void open_file();

  std::size_t budget_;
  std::size_t chunk_bytes_;
  std::size_t used_ = 0;
  int fd_ = -1;
  std::uint32_t slots_ = 0;
  std::vector<std::uint32_t> free_;
};

}  // namespace smmulab::workloads
