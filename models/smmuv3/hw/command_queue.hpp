// SPDX-License-Identifier: Apache-2.0
// CommandQueue: the command queue in simulated memory without time, with PROD, CONS and CONS.ERR as
// software sees them (IHI 0070 3.5, 7.1). A command that cannot be consumed stops the queue: CONS
// stays at it, ERR says why, GERROR.CMDQ_ERR becomes active, and nothing is consumed until GERRORN
// acknowledges; then the entry is fetched again.
//
// Linux (6.12, __arm_smmu_cmdq_skip_err) on CERROR_ILL writes a CMD_SYNC over the entry at CONS and
// acknowledges, so that the producer's later SYNC is reached; on CERROR_ABT and CERROR_ATC_INV_SYNC
// it only acknowledges, and the same entry is tried again.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/global_errors.hpp"
#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/queue_registers.hpp"

namespace smmulab::smmu::hw {

// CMDQ_CONS.ERR
enum class CommandError : std::uint8_t { kNone = 0, kIll = 1, kAbt = 2, kAtcInvSync = 3 };

class CommandQueue {
 public:
  static constexpr unsigned kEntryLog2 = 4;
  CommandQueue(Memory& memory, const QueuePlace& place, GlobalErrors& errors)
      : memory_(memory), registers_(place), errors_(errors) {}

  void write_prod(std::uint32_t value) { registers_.set_prod(value); }
  [[nodiscard]] std::uint32_t read_prod() const { return registers_.prod(); }
  [[nodiscard]] std::uint32_t read_cons() const {
    return registers_.cons() | static_cast<std::uint32_t>(error_) << kCommandErrorShift;
  }
  [[nodiscard]] std::uint64_t address_of(std::uint32_t index) const {
    return registers_.address_of(index, kEntryLog2);
  }

  // Consumes until the queue is empty or stopped. `execute(command)` says kNone, or why the command
  // cannot be consumed.
  template <class Execute>
  void run(const Features& features, const Execute& execute) {
    if (running_) {
      return;  // from within execute(): the loop below sees what was added
    }
    running_ = true;
    while (!registers_.empty() && !errors_.active(GlobalError::kCmdq)) {
      const CommandError error = step(features, execute);
      if (error == CommandError::kNone) {
        registers_.advance_cons();
      } else {
        error_ = error;
        errors_.raise(GlobalError::kCmdq);
      }
    }
    running_ = false;
  }

 private:
  template <class Execute>
  CommandError step(const Features& features, const Execute& execute) {
    CommandWords words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto word = memory_.read64(address_of(registers_.cons()) + 8 * i);
      if (!word) {
        return CommandError::kAbt;
      }
      words[i] = *word;
    }
    const std::optional<Command> command = decode_command(words, features.range_inv);
    return command && is_supported(*command, features) ? execute(*command) : CommandError::kIll;
  }

  Memory& memory_;
  QueueRegisters registers_;
  GlobalErrors& errors_;
  CommandError error_ = CommandError::kNone;
  bool running_ = false;
};

}  // namespace smmulab::smmu::hw
