// SPDX-License-Identifier: Apache-2.0
#include "workloads/fields.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/check.hpp"
#include "sim/params.hpp"

namespace smmulab::workloads {

Fields::Fields(Lexer& lexer, std::initializer_list<std::string_view> required,
               std::initializer_list<std::string_view> optional)
    : lexer_(&lexer) {
  std::vector<std::string> known(required.begin(), required.end());
  known.insert(known.end(), optional.begin(), optional.end());
  Token word;
  while (lexer.next(word)) {
    Token key;
    Token value;
    split_field(lexer, word, key, value);
    if (std::find(known.begin(), known.end(), key.text) == known.end()) {
      const std::string near = nearest_name(key.text, known);
      lexer.fail(key, fmt::format("unknown key '{}' ({})", key.text,
                                  near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                                               : fmt::format("did you mean '{}'?", near)));
    }
    if (find(key.text) != nullptr) {
      lexer.fail(key, fmt::format("duplicate key '{}'", key.text));
    }
    fields_.emplace_back(key.text, value);
  }
  for (const std::string_view name : required) {
    if (find(name) == nullptr) {
      lexer.fail(lexer.end(), fmt::format("missing key '{}'", name));
    }
  }
}

const Token* Fields::find(std::string_view key) const {
  for (const auto& [name, value] : fields_) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

const Token& Fields::get(std::string_view key) const {
  const Token* value = find(key);
  SMMULAB_CHECK(value != nullptr, "Fields::get: not a required key");
  return *value;
}

std::uint32_t Fields::number(std::string_view key) const {
  return parse_u32(*lexer_, get(key), key);
}

}  // namespace smmulab::workloads
