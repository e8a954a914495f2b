// SPDX-License-Identifier: Apache-2.0
// PROD and CONS of a queue (IHI 0070 3.5, 6.3.26 and following): an index of `log2_entries` bits
// with the wrap bit above it. Equal: empty; equal but for the wrap bit: full.
#pragma once

#include <cstdint>

namespace smmulab::smmu::hw {

inline constexpr std::uint8_t kMaxQueueLog2 = 19;          // IDR1.CMDQS, EVENTQS, PRIQS
inline constexpr std::uint32_t kOverflowFlag = 1U << 31U;  // OVFLG, OVACKFLG
inline constexpr unsigned kCommandErrorShift = 24;         // CMDQ_CONS.ERR

struct QueuePlace {
  std::uint64_t base = 0;  // of the entries, physical
  std::uint8_t log2_entries = 8;
};

class QueueRegisters {
 public:
  explicit QueueRegisters(const QueuePlace& place) : place_(place) {}
  [[nodiscard]] bool empty() const { return prod_ == cons_; }
  [[nodiscard]] bool full() const { return (prod_ ^ cons_) == entries(); }
  [[nodiscard]] std::uint32_t entries() const { return 1U << place_.log2_entries; }
  [[nodiscard]] std::uint32_t used() const { return (prod_ - cons_) & wrap_mask(); }
  // With the wrap bit, without flags.
  [[nodiscard]] std::uint32_t prod() const { return prod_; }
  [[nodiscard]] std::uint32_t cons() const { return cons_; }
  void set_prod(std::uint32_t value) { prod_ = value & wrap_mask(); }
  void set_cons(std::uint32_t value) { cons_ = value & wrap_mask(); }
  void advance_prod() { set_prod(prod_ + 1); }
  void advance_cons() { set_cons(cons_ + 1); }
  [[nodiscard]] std::uint64_t address_of(std::uint32_t index, unsigned entry_log2) const {
    return place_.base + (std::uint64_t{index & (entries() - 1)} << entry_log2);
  }

 private:
  [[nodiscard]] std::uint32_t wrap_mask() const { return 2 * entries() - 1; }
  QueuePlace place_;
  std::uint32_t prod_ = 0, cons_ = 0;
};

}  // namespace smmulab::smmu::hw
