// SPDX-License-Identifier: Apache-2.0
// Page requests (PPR) and the responses to their groups (PRG) of PCIe PRI, and the PRI queue's
// entry, 16 bytes, bit for bit (IHI 0070 chapter 8; Linux 6.12 arm-smmu-v3.h, PRIQ_*).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/bits.hpp"
#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

using PageRequestWords = std::array<std::uint64_t, 2>;

struct PageRequest {
  StreamId stream;
  std::optional<Ssid> substream;  // the PASID
  std::uint64_t address = 0;      // [63:12]
  std::uint16_t prg_index = 0;    // [8:0]
  bool last = false;              // of its group
  bool write = false, read = false, execute = false, privileged = false;
  // No request: it says that the PASID's requests have all been sent, and gets no response.
  [[nodiscard]] bool is_stop_marker() const { return substream && last && !write && !read; }
  friend bool operator==(const PageRequest&, const PageRequest&) = default;
};

[[nodiscard]] inline PageRequestWords encode(const PageRequest& r) {
  const auto flag = [](bool set, unsigned at) { return make_field(set ? 1 : 0, at, at); };
  return {r.stream.value() | make_field(r.substream.value_or(Ssid{}).value(), 51, 32) |
              flag(r.privileged && r.substream, 58) | flag(r.execute && r.substream, 59) |
              flag(r.read, 60) | flag(r.write, 61) | flag(r.last, 62) |
              flag(r.substream.has_value(), 63),
          make_field(r.prg_index, 8, 0) | address_field(r.address, 63, 12)};
}

[[nodiscard]] inline PageRequest decode_page_request(const PageRequestWords& w) {
  PageRequest r;
  r.stream = StreamId{static_cast<std::uint32_t>(field(w[0], 31, 0))};
  if (bit(w[0], 63)) {
    r.substream = Ssid{static_cast<std::uint32_t>(field(w[0], 51, 32))};
  }
  r.privileged = bit(w[0], 58);
  r.execute = bit(w[0], 59);
  r.read = bit(w[0], 60);
  r.write = bit(w[0], 61);
  r.last = bit(w[0], 62);
  r.prg_index = static_cast<std::uint16_t>(field(w[1], 8, 0));
  r.address = address_field(w[1], 63, 12);
  return r;
}

// ResponseCode of the PCIe message (8.3).
enum class PrgCode : std::uint8_t { kSuccess = 0, kInvalidRequest = 1, kFailure = 15 };

struct PageResponse {
  StreamId stream;
  std::optional<Ssid> substream;
  std::uint16_t prg_index = 0;
  PrgCode code = PrgCode::kSuccess;
  friend bool operator==(const PageResponse&, const PageResponse&) = default;
};

// What CMD_PRI_RESP has the SMMU send (4.4).
[[nodiscard]] inline PageResponse page_response(const Command& c) {
  const auto result = static_cast<PriResult>(c.response);
  return {c.stream, c.substream_valid ? std::optional{c.substream} : std::nullopt, c.prg_index,
          result == PriResult::kSuccess   ? PrgCode::kSuccess
          : result == PriResult::kInvalid ? PrgCode::kInvalidRequest
                                          : PrgCode::kFailure};
}

}  // namespace smmulab::smmu::hw
