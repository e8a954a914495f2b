// SPDX-License-Identifier: Apache-2.0
// SMMUv3 commands, as far as the driver sends them (Arm IHI 0070 section 4). Counted hardware needs
// the kind only; timed hardware reads the 16 bytes, operands and all.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "sim/check.hpp"

namespace smmulab::smmu {

enum class Command : std::uint8_t {
  kPrefetchConfig,
  kCfgiSte,
  kCfgiCd,
  kTlbiNhAll,
  kTlbiNhAsid,
  kTlbiNhVa,
  kTlbiS12Vmall,
  kTlbiS2Ipa,
  kAtcInv,
  kSync,
};
inline constexpr std::size_t kCommandKinds = 10;

[[nodiscard]] constexpr std::string_view command_name(Command c) {
  constexpr std::array<std::string_view, kCommandKinds> kNames = {
      "PREFETCH_CONFIG", "CFGI_STE",       "CFGI_CD",     "TLBI_NH_ALL", "TLBI_NH_ASID",
      "TLBI_NH_VA",      "TLBI_S12_VMALL", "TLBI_S2_IPA", "ATC_INV",     "SYNC"};
  return kNames[static_cast<std::size_t>(c)];
}

// The opcode field of the command [Arm IHI 0070 section 4].
[[nodiscard]] constexpr std::uint8_t command_opcode(Command c) {
  constexpr std::array<std::uint8_t, kCommandKinds> kOpcodes = {0x01, 0x03, 0x05, 0x10, 0x11,
                                                                0x12, 0x28, 0x2a, 0x40, 0x46};
  return kOpcodes[static_cast<std::size_t>(c)];
}

// CMDQ_BATCH_ENTRIES = BITS_PER_LONG [Linux 6.12 arm-smmu-v3.h].
inline constexpr std::uint32_t kBatchEntries = 64;

// The 16 bytes of a command.
using CommandWords = std::array<std::uint64_t, 2>;

// Up to a batch of commands, issued together.
class CommandBatch {
 public:
  [[nodiscard]] bool full() const { return size_ == kBatchEntries; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  [[nodiscard]] Command operator[](std::uint32_t i) const { return commands_[i]; }
  void clear() { size_ = 0; }
  void add(Command c, const CommandWords& words = {}) {
    SMMULAB_ASSERT(!full(), "command batch is full");
    words_[size_] = words;
    commands_[size_++] = c;
  }
  // Zero where the hardware does not read them.
  [[nodiscard]] const CommandWords& words(std::uint32_t i) const { return words_[i]; }

 private:
  // Most batches are of a command or two: what those need lies in two of the host's cache lines.
  std::uint32_t size_ = 0;
  std::array<Command, kBatchEntries> commands_;  // those below size_ are set
  std::array<CommandWords, kBatchEntries> words_;
};

}  // namespace smmulab::smmu
