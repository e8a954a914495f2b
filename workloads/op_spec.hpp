// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the trace format's operation lines: which keys each operation takes. One table
// serves reader, writer and messages.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "workloads/op.hpp"

namespace smmulab::workloads {

// In canonical order: a writer gives the keys of a line in this order.
enum class Key : std::uint8_t {
  kHwpt,
  kAccess,
  kFault,
  kIoas,
  kDev,
  kPasid,
  kPt,
  kOld,
  kGot,
  kSrc,
  kFrom,
  kIova,
  kLen,
  kCount,
  kFlags,
  kRet,
  kDur,
};
inline constexpr std::size_t kKeys = 17;

using KeyMask = std::uint32_t;
[[nodiscard]] constexpr KeyMask bit(Key k) {
  return static_cast<KeyMask>(1U << static_cast<unsigned>(k));
}

struct OpSpec {
  std::string_view name;
  KeyMask required;
  KeyMask optional;
  std::uint32_t flags = 0;  // all that flags= may have
};

[[nodiscard]] const OpSpec& op_spec(OpKind kind);
[[nodiscard]] std::string_view key_name(Key key);
[[nodiscard]] std::optional<OpKind> find_op(std::string_view name);
[[nodiscard]] std::optional<Key> find_key(std::string_view name);
// " (did you mean 'attach'?)", or " (known: ...)" if nothing is near.
[[nodiscard]] std::string suggest_op(std::string_view name);
[[nodiscard]] std::string suggest_key(std::string_view name, KeyMask allowed);

}  // namespace smmulab::workloads
