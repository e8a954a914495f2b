// SPDX-License-Identifier: Apache-2.0
// Opcodes as a record has them, back to names.
#pragma once

#include <string>

#include "models/smmuv3/driver/command.hpp"

namespace smmulab::smmu {

// The name of the command of that opcode, or the opcode.
[[nodiscard]] inline std::string opcode_name(std::uint8_t opcode) {
  for (std::size_t c = 0; c < kCommandKinds; ++c) {
    if (command_opcode(static_cast<Command>(c)) == opcode) {
      return std::string(command_name(static_cast<Command>(c)));
    }
  }
  return "opcode " + std::to_string(opcode);
}

}  // namespace smmulab::smmu
