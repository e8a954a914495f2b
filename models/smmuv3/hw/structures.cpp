// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/structures.hpp"

#include "models/smmuv3/hw/bits.hpp"

namespace smmulab::smmu::hw {
namespace {

std::uint8_t byte(std::uint64_t word, unsigned high, unsigned low) {
  return static_cast<std::uint8_t>(field(word, high, low));
}

}  // namespace

EntryWords encode(const Ste& s) {
  EntryWords w{};
  w[0] = make_field(s.valid ? 1 : 0, 0, 0) | make_field(s.config, 3, 1) |
         make_field(s.s1_format, 5, 4) | address_field(s.s1_context_ptr, 51, 6) |
         make_field(s.s1_cd_max, 63, 59);
  w[1] = make_field(s.s1_default_substream, 1, 0) | make_field(s.contiguous, 16, 13) |
         make_field(s.pasid_on_auto_response ? 1 : 0, 18, 18) |
         make_field(s.merge_events ? 1 : 0, 19, 19) |
         make_field(s.s1_stall_disable ? 1 : 0, 27, 27) | make_field(s.eats, 29, 28) |
         make_field(s.stream_world, 31, 30) | make_field(s.privilege_override, 49, 48) |
         make_field(s.instruction_override, 51, 50) | make_field(s.prefetch, 57, 56);
  w[2] = make_field(s.vmid, 15, 0) | make_field(s.s2_t0sz, 37, 32) |
         make_field(s.s2_start, 39, 38) | make_field(s.s2_granule, 47, 46) |
         make_field(s.s2_size, 50, 48) | make_field(s.s2_aarch64 ? 1 : 0, 51, 51) |
         make_field(s.s2_big_endian ? 1 : 0, 52, 52) |
         make_field(s.s2_af_fault_off ? 1 : 0, 53, 53) | make_field(s.s2_hw_dirty ? 1 : 0, 55, 55) |
         make_field(s.s2_hw_access ? 1 : 0, 56, 56) | make_field(s.s2_stall ? 1 : 0, 57, 57) |
         make_field(s.s2_record ? 1 : 0, 58, 58);
  w[3] = address_field(s.s2_table, 51, 4);
  return w;
}

Ste decode_ste(std::span<const std::uint64_t, 8> w) {
  Ste s;
  s.valid = bit(w[0], 0);
  s.config = byte(w[0], 3, 1);
  s.s1_format = byte(w[0], 5, 4);
  s.s1_context_ptr = address_field(w[0], 51, 6);
  s.s1_cd_max = byte(w[0], 63, 59);
  s.s1_default_substream = byte(w[1], 1, 0);
  s.contiguous = byte(w[1], 16, 13);
  s.pasid_on_auto_response = bit(w[1], 18);
  s.merge_events = bit(w[1], 19);
  s.s1_stall_disable = bit(w[1], 27);
  s.eats = byte(w[1], 29, 28);
  s.stream_world = byte(w[1], 31, 30);
  s.privilege_override = byte(w[1], 49, 48);
  s.instruction_override = byte(w[1], 51, 50);
  s.prefetch = byte(w[1], 57, 56);
  s.vmid = static_cast<std::uint16_t>(field(w[2], 15, 0));
  s.s2_t0sz = byte(w[2], 37, 32);
  s.s2_start = byte(w[2], 39, 38);
  s.s2_granule = byte(w[2], 47, 46);
  s.s2_size = byte(w[2], 50, 48);
  s.s2_aarch64 = bit(w[2], 51);
  s.s2_big_endian = bit(w[2], 52);
  s.s2_af_fault_off = bit(w[2], 53);
  s.s2_hw_dirty = bit(w[2], 55);
  s.s2_hw_access = bit(w[2], 56);
  s.s2_stall = bit(w[2], 57);
  s.s2_record = bit(w[2], 58);
  s.s2_table = address_field(w[3], 51, 4);
  return s;
}

EntryWords encode(const Cd& c) {
  EntryWords w{};
  w[0] = make_field(c.t0sz, 5, 0) | make_field(c.tg0, 7, 6) | make_field(c.epd0 ? 1 : 0, 14, 14) |
         make_field(c.big_endian ? 1 : 0, 15, 15) | make_field(c.t1sz, 21, 16) |
         make_field(c.tg1, 23, 22) | make_field(c.epd1 ? 1 : 0, 30, 30) |
         make_field(c.valid ? 1 : 0, 31, 31) | make_field(c.ips, 34, 32) |
         make_field(c.af_fault_off ? 1 : 0, 35, 35) | make_field(c.tbi0 ? 1 : 0, 38, 38) |
         make_field(c.tbi1 ? 1 : 0, 39, 39) | make_field(c.aarch64 ? 1 : 0, 41, 41) |
         make_field(c.hw_dirty ? 1 : 0, 42, 42) | make_field(c.hw_access ? 1 : 0, 43, 43) |
         make_field(c.stall ? 1 : 0, 44, 44) | make_field(c.record ? 1 : 0, 45, 45) |
         make_field(c.abort ? 1 : 0, 46, 46) | make_field(c.aset ? 1 : 0, 47, 47) |
         make_field(c.asid, 63, 48);
  w[1] = make_field(c.had0 ? 1 : 0, 1, 1) | address_field(c.ttb0, 51, 4);
  w[2] = make_field(c.had1 ? 1 : 0, 1, 1) | address_field(c.ttb1, 51, 4);
  w[3] = c.mair;
  return w;
}

Cd decode_cd(std::span<const std::uint64_t, 8> w) {
  Cd c;
  c.t0sz = byte(w[0], 5, 0);
  c.tg0 = byte(w[0], 7, 6);
  c.epd0 = bit(w[0], 14);
  c.big_endian = bit(w[0], 15);
  c.t1sz = byte(w[0], 21, 16);
  c.tg1 = byte(w[0], 23, 22);
  c.epd1 = bit(w[0], 30);
  c.valid = bit(w[0], 31);
  c.ips = byte(w[0], 34, 32);
  c.af_fault_off = bit(w[0], 35);
  c.tbi0 = bit(w[0], 38);
  c.tbi1 = bit(w[0], 39);
  c.aarch64 = bit(w[0], 41);
  c.hw_dirty = bit(w[0], 42);
  c.hw_access = bit(w[0], 43);
  c.stall = bit(w[0], 44);
  c.record = bit(w[0], 45);
  c.abort = bit(w[0], 46);
  c.aset = bit(w[0], 47);
  c.asid = static_cast<std::uint16_t>(field(w[0], 63, 48));
  c.had0 = bit(w[1], 1);
  c.ttb0 = address_field(w[1], 51, 4);
  c.had1 = bit(w[2], 1);
  c.ttb1 = address_field(w[2], 51, 4);
  c.mair = w[3];
  return c;
}

std::uint64_t encode(const L1Std& l1) {
  return make_field(l1.span, 4, 0) | address_field(l1.l2_ptr, 51, 6);
}

L1Std decode_l1std(std::uint64_t word) {
  return {byte(word, 4, 0), address_field(word, 51, 6)};
}

std::uint64_t encode(const L1Cd& l1) {
  return make_field(l1.valid ? 1 : 0, 0, 0) | address_field(l1.l2_ptr, 51, 12);
}

L1Cd decode_l1cd(std::uint64_t word) {
  return {bit(word, 0), address_field(word, 51, 12)};
}

}  // namespace smmulab::smmu::hw
