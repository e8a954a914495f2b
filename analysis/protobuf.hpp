// SPDX-License-Identifier: Apache-2.0
// ProtoMessage: protocol buffers' wire format, as far as writing needs it: varints, fixed64, bytes
// and nested messages (protobuf.dev/programming-guides/encoding). Fields are written in the order
// of the calls. Not here: reading, packed fields, groups, zigzag.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace smmulab::analysis {

class ProtoMessage {
 public:
  void varint(std::uint32_t field, std::uint64_t value) {
    key(field, kVarint);
    raw_varint(value);
  }
  // An int64 field: negative numbers take ten bytes.
  void signed_varint(std::uint32_t field, std::int64_t value) {
    varint(field, static_cast<std::uint64_t>(value));
  }
  void fixed64(std::uint32_t field, std::uint64_t value) {
    key(field, kFixed64);
    for (unsigned shift = 0; shift < 64; shift += 8) {
      bytes_.push_back(static_cast<char>(static_cast<std::uint8_t>(value >> shift)));
    }
  }
  void bytes(std::uint32_t field, std::string_view value) {
    key(field, kLengthDelimited);
    raw_varint(value.size());
    bytes_ += value;
  }
  void message(std::uint32_t field, const ProtoMessage& value) { bytes(field, value.bytes_); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  static constexpr unsigned kVarint = 0;
  static constexpr unsigned kFixed64 = 1;
  static constexpr unsigned kLengthDelimited = 2;

  void key(std::uint32_t field, unsigned type) { raw_varint(std::uint64_t{field} << 3U | type); }
  void raw_varint(std::uint64_t value) {
    while (value >= 0x80) {
      bytes_.push_back(static_cast<char>(static_cast<std::uint8_t>(value | 0x80U)));
      value >>= 7U;
    }
    bytes_.push_back(static_cast<char>(static_cast<std::uint8_t>(value)));
  }

  std::string bytes_;
};

}  // namespace smmulab::analysis
