// SPDX-License-Identifier: Apache-2.0
// Fields: the key=value words of one header line. Each key is known, given once, and the required
// ones are there; otherwise TraceError, with the nearest key for an unknown one.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "workloads/lexer.hpp"

namespace smmulab::workloads {

class Fields {
 public:
  // Reads the rest of the line. The views stay those of the line.
  Fields(Lexer& lexer, std::initializer_list<std::string_view> required,
         std::initializer_list<std::string_view> optional);
  // The value of a key, or nullptr.
  [[nodiscard]] const Token* find(std::string_view key) const;
  // REQUIRES: the key is a required one.
  [[nodiscard]] const Token& get(std::string_view key) const;
  [[nodiscard]] std::uint32_t number(std::string_view key) const;

 private:
  const Lexer* lexer_;
  std::vector<std::pair<std::string_view, Token>> fields_;
};

}  // namespace smmulab::workloads
