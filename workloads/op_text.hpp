// SPDX-License-Identifier: Apache-2.0
// One operation line <-> Op. Only the form is checked here (words, keys, numbers); what the
// operation means is OpChecker's.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "workloads/lexer.hpp"
#include "workloads/op.hpp"
#include "workloads/op_spec.hpp"

namespace smmulab::workloads {

// Where the parts of an operation line stood, for messages.
struct OpColumns {
  std::size_t issue = 1;
  std::size_t thread = 1;
  std::size_t name = 1;
  std::array<std::size_t, kKeys> value{};
};

// REQUIRES: the line has a word. Sets all of op but seq. Throws TraceError.
void parse_op(Lexer& lexer, Op& op, OpColumns& columns);
// The canonical line, with '\n'. REQUIRES: op.kind is not kPhase.
void append_op(std::string& out, const Op& op);
// The operation and its objects: "replace dev=0 pt=11", "map ioas=1".
[[nodiscard]] std::string op_label(const Op& op);

}  // namespace smmulab::workloads
