// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/command.hpp"

#include <algorithm>

#include "models/smmuv3/hw/bits.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr std::uint8_t kCsReserved = 3;
constexpr std::uint8_t kRespReserved = 3;

bool known(std::uint8_t code) {
  constexpr std::uint8_t kCodes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x10, 0x11,
                                     0x12, 0x13, 0x18, 0x1A, 0x20, 0x21, 0x22, 0x23, 0x28,
                                     0x2A, 0x30, 0x40, 0x41, 0x44, 0x45, 0x46};
  return std::ranges::binary_search(kCodes, code);
}

bool is_ranged(Opcode op) {
  return op == Opcode::kTlbiNhVa || op == Opcode::kTlbiNhVaa || op == Opcode::kTlbiEl2Va ||
         op == Opcode::kTlbiEl2Vaa || op == Opcode::kTlbiEl3Va || op == Opcode::kTlbiS2Ipa;
}

}  // namespace

CommandWords encode(const Command& c) {
  CommandWords w{static_cast<std::uint8_t>(c.opcode), 0};
  if (is_tlbi(c.opcode)) {
    w[0] |= make_field(c.num, 16, 12) | make_field(c.scale, 24, 20) |
            make_field(c.vmid.value(), 47, 32) | make_field(c.asid.value(), 63, 48);
    w[1] = make_field(c.leaf ? 1 : 0, 0, 0) | make_field(c.ttl, 9, 8) | make_field(c.tg, 11, 10) |
           address_field(c.address, 63, 12);
    return w;
  }
  if (c.opcode == Opcode::kSync) {
    w[0] |= make_field(c.signal, 13, 12);
    return w;
  }
  w[0] |= make_field(c.stream.value(), 63, 32);
  if (c.opcode == Opcode::kResume) {
    w[0] |= make_field(c.response, 13, 12);
    w[1] = c.stag;
    return w;
  }
  w[0] |= make_field(c.substream_valid ? 1 : 0, 11, 11) | make_field(c.substream.value(), 31, 12) |
          make_field(c.global ? 1 : 0, 9, 9);
  switch (c.opcode) {
    case Opcode::kCfgiSte:
    case Opcode::kCfgiCd:
      w[1] = make_field(c.leaf ? 1 : 0, 0, 0);
      break;
    case Opcode::kCfgiSteRange:
      w[1] = make_field(c.range, 4, 0);
      break;
    case Opcode::kAtcInv:
      w[1] = make_field(c.size, 5, 0) | address_field(c.address, 63, 12);
      break;
    case Opcode::kPrefetchAddr:
      w[1] =
          make_field(c.size, 4, 0) | make_field(c.stride, 9, 5) | address_field(c.address, 63, 12);
      break;
    case Opcode::kPriResp:
      w[1] = make_field(c.prg_index, 8, 0) | make_field(c.response, 13, 12);
      break;
    default:
      break;
  }
  return w;
}

namespace {

std::optional<Command> decode_tlbi(Command c, const CommandWords& w, bool range_inv) {
  c.vmid = Vmid{static_cast<std::uint16_t>(field(w[0], 47, 32))};
  c.asid = Asid{static_cast<std::uint16_t>(field(w[0], 63, 48))};
  c.leaf = bit(w[1], 0);
  c.address = address_field(w[1], 63, 12);
  if (range_inv && is_ranged(c.opcode)) {
    c.num = static_cast<std::uint8_t>(field(w[0], 16, 12));
    c.scale = static_cast<std::uint8_t>(field(w[0], 24, 20));
    c.ttl = static_cast<std::uint8_t>(field(w[1], 9, 8));
    c.tg = static_cast<std::uint8_t>(field(w[1], 11, 10));
    if (c.tg != 0 && c.num == 0 && c.scale == 0 && c.ttl == 0) {
      return std::nullopt;
    }
  }
  return c;
}

}  // namespace

std::optional<Command> decode_command(const CommandWords& w, bool range_inv) {
  const auto code = static_cast<std::uint8_t>(field(w[0], 7, 0));
  if (!known(code)) {
    return std::nullopt;
  }
  Command c;
  c.opcode = static_cast<Opcode>(code);
  if (is_tlbi(c.opcode)) {
    return decode_tlbi(c, w, range_inv);
  }
  if (c.opcode == Opcode::kSync) {
    c.signal = static_cast<std::uint8_t>(field(w[0], 13, 12));
    return c.signal == kCsReserved ? std::nullopt : std::optional{c};
  }
  c.stream = StreamId{static_cast<std::uint32_t>(field(w[0], 63, 32))};
  if (c.opcode == Opcode::kResume) {
    c.response = static_cast<std::uint8_t>(field(w[0], 13, 12));
    c.stag = static_cast<std::uint16_t>(field(w[1], 15, 0));
    return c;
  }
  c.substream_valid = bit(w[0], 11);
  c.substream = Ssid{static_cast<std::uint32_t>(field(w[0], 31, 12))};
  c.global = bit(w[0], 9);
  c.leaf = (c.opcode == Opcode::kCfgiSte || c.opcode == Opcode::kCfgiCd) && bit(w[1], 0);
  if (c.opcode == Opcode::kCfgiSteRange) {
    c.range = static_cast<std::uint8_t>(field(w[1], 4, 0));
  } else if (c.opcode == Opcode::kAtcInv) {
    c.size = static_cast<std::uint8_t>(field(w[1], 5, 0));
    c.address = address_field(w[1], 63, 12);
  } else if (c.opcode == Opcode::kPrefetchAddr) {
    c.size = static_cast<std::uint8_t>(field(w[1], 4, 0));
    c.stride = static_cast<std::uint8_t>(field(w[1], 9, 5));
    c.address = address_field(w[1], 63, 12);
  } else if (c.opcode == Opcode::kPriResp) {
    c.prg_index = static_cast<std::uint16_t>(field(w[1], 8, 0));
    c.response = static_cast<std::uint8_t>(field(w[1], 13, 12));
    return c.response == kRespReserved ? std::nullopt : std::optional{c};
  }
  return c;
}

bool is_for_guests(Opcode opcode) {
  return opcode == Opcode::kTlbiNhAsid || opcode == Opcode::kTlbiNhVa ||
         opcode == Opcode::kAtcInv || opcode == Opcode::kSync;
}

bool is_supported(const Command& command, const Features& features) {
  switch (command.opcode) {
    case Opcode::kAtcInv:
      return features.ats;
    case Opcode::kPriResp:
      return features.pri;
    case Opcode::kResume:
    case Opcode::kStallTerm:
      return features.stall;
    default:
      return true;
  }
}

namespace {

// TG 0: the page at the address, whatever its size; else Range = (NUM + 1) * 2^SCALE * granule.
void set_addresses(const Command& c, TlbInvalidation& i) {
  i.by_address = true;
  i.leaf_only = c.leaf;
  if (c.tg == 0) {
    i.first = c.address;
    i.last = c.address | low_mask(12);
    return;
  }
  const unsigned granule = 10U + 2U * c.tg;  // 1: 4K, 2: 16K, 3: 64K
  i.level = c.ttl;
  i.first = c.address & ~low_mask(granule);
  const std::uint64_t pages = (std::uint64_t{c.num} + 1) << c.scale;
  const std::uint64_t bytes = pages << granule;
  // A range that passes the end of the address space ends there.
  i.last = i.first + bytes - 1;
  if ((pages >> (64U - granule)) != 0 || i.last < i.first) {
    i.last = ~std::uint64_t{0};
  }
}

}  // namespace

TlbInvalidation tlb_invalidation(const Command& c) {
  TlbInvalidation i;
  const auto code = static_cast<std::uint8_t>(c.opcode);
  i.el3 = code >= 0x18 && code < 0x20;
  i.el2 = code >= 0x20 && code < 0x28;
  i.el1 = !i.el3 && !i.el2;
  i.stage2 = c.opcode == Opcode::kTlbiS12Vmall || c.opcode == Opcode::kTlbiS2Ipa ||
             c.opcode == Opcode::kTlbiNsnhAll;
  i.stage1 = c.opcode != Opcode::kTlbiS2Ipa;
  if (i.el1 && c.opcode != Opcode::kTlbiNsnhAll) {
    i.vmid = c.vmid;
  }
  switch (c.opcode) {
    case Opcode::kTlbiNhAsid:
    case Opcode::kTlbiEl2Asid:
      i.asid = c.asid;
      i.globals = false;
      break;
    case Opcode::kTlbiNhVa:
    case Opcode::kTlbiEl2Va:
      i.asid = c.asid;
      set_addresses(c, i);
      break;
    case Opcode::kTlbiNhVaa:
    case Opcode::kTlbiEl2Vaa:
    case Opcode::kTlbiEl3Va:
    case Opcode::kTlbiS2Ipa:
      set_addresses(c, i);
      break;
    default:
      break;
  }
  return i;
}

std::optional<ConfigInvalidation> config_invalidation(const Command& c) {
  const std::uint32_t sid = c.stream.value();
  switch (c.opcode) {
    case Opcode::kCfgiSte:
    case Opcode::kCfgiCdAll:
      return ConfigInvalidation{sid, sid, {}};
    case Opcode::kCfgiCd:
      return ConfigInvalidation{sid, sid, c.substream};
    case Opcode::kCfgiSteRange: {
      // 2^(Range+1) streams, aligned; 31: all.
      const auto mask = static_cast<std::uint32_t>(low_mask(c.range + 1U));
      return ConfigInvalidation{sid & ~mask, sid | mask, {}};
    }
    default:
      return std::nullopt;
  }
}

}  // namespace smmulab::smmu::hw
