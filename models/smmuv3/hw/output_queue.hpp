// SPDX-License-Identifier: Apache-2.0
// OutputQueue: a queue that the SMMU fills and software empties: the event queue (32 bytes an
// entry) and the PRI queue (16), in simulated memory, with PROD and CONS as software reads and
// writes them, overflow flags included (IHI 0070 3.5, 7.4, 8.1). What an overflow does to later
// entries differs between the two and is not here. External aborts of writes are synchronous: PROD
// stays. Not modelled: the queue's interrupt, which the timed model charges.
#pragma once

#include <cstdint>
#include <span>

#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/queue_registers.hpp"
#include "sim/check.hpp"

namespace smmulab::smmu::hw {

class OutputQueue {
 public:
  OutputQueue(Memory& memory, const QueuePlace& place, unsigned entry_log2)
      : memory_(memory), registers_(place), entry_log2_(entry_log2) {
    SMMULAB_CHECK(place.log2_entries <= kMaxQueueLog2, "a queue has at most 2^19 entries");
  }
  [[nodiscard]] bool full() const { return registers_.full(); }
  [[nodiscard]] bool empty() const { return registers_.empty(); }
  [[nodiscard]] std::uint32_t used() const { return registers_.used(); }

  // False: external abort. REQUIRES: not full; `words` are one entry.
  [[nodiscard]] bool push(std::span<const std::uint64_t> words) {
    const std::uint64_t at = address_of(registers_.prod());
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (!memory_.try_write64(at + 8 * i, words[i])) {
        return false;
      }
    }
    registers_.advance_prod();
    return true;
  }
  // An entry was discarded because the queue is full. Toggles OVFLG unless that is to be
  // acknowledged already.
  void note_overflow() { overflow_ = overflow_ == acknowledged_ ? !overflow_ : overflow_; }
  [[nodiscard]] bool overflow() const { return overflow_ != acknowledged_; }

  // The registers: WR or RD with its wrap bit, OVFLG or OVACKFLG at [31].
  [[nodiscard]] std::uint32_t read_prod() const {
    return registers_.prod() | (overflow_ ? kOverflowFlag : 0);
  }
  [[nodiscard]] std::uint32_t read_cons() const {
    return registers_.cons() | (acknowledged_ ? kOverflowFlag : 0);
  }
  void write_cons(std::uint32_t value) {
    registers_.set_cons(value);
    acknowledged_ = (value & kOverflowFlag) != 0;
  }
  // Of the entry that an index (flags are ignored) stands for.
  [[nodiscard]] std::uint64_t address_of(std::uint32_t index) const {
    return registers_.address_of(index, entry_log2_);
  }

 private:
  Memory& memory_;
  QueueRegisters registers_;
  unsigned entry_log2_;
  bool overflow_ = false;
  bool acknowledged_ = false;
};

}  // namespace smmulab::smmu::hw
