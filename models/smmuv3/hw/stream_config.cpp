// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/stream_config.hpp"

#include <algorithm>
#include <optional>

namespace smmulab::smmu::hw {
namespace {

// CD.TG0 and STE.S2TG share a code; CD.TG1 has its own.
std::optional<Granule> granule_of_tg0(std::uint8_t code) {
  switch (code) {
    case 0:
      return Granule::k4K;
    case 1:
      return Granule::k64K;
    case 2:
      return Granule::k16K;
    default:
      return std::nullopt;
  }
}

std::optional<Granule> granule_of_tg1(std::uint8_t code) {
  switch (code) {
    case 1:
      return Granule::k16K;
    case 2:
      return Granule::k4K;
    case 3:
      return Granule::k64K;
    default:
      return std::nullopt;
  }
}

bool input_size_legal(std::uint8_t tsz, Granule g, const Features& f) {
  const unsigned least = g == Granule::k64K && f.va52 ? 12 : 16;
  const unsigned most = !f.small_tables ? 39 : g == Granule::k64K ? 47 : 48;
  return tsz >= least && tsz <= most;
}

bool is_beyond(std::uint64_t address, unsigned bits) {
  return bits < 64 && (address >> bits) != 0;
}

// Only the 64K granule reaches 52 bits.
std::uint8_t output_bits(std::uint8_t code, Granule g, const Features& f) {
  const std::uint8_t cap = g == Granule::k64K ? f.oas : std::min<std::uint8_t>(f.oas, 48);
  return std::min(address_bits_of(code), cap);
}

// The start level that S2SL0 names, if this input size can start there.
std::optional<std::uint8_t> stage2_start(const Ste& ste, Granule g, unsigned input_bits) {
  const int base = g == Granule::k4K ? 2 : 3;
  const int level = base - static_cast<int>(ste.s2_start);
  if (level < (g == Granule::k4K ? 0 : 1) || ste.s2_start == 3) {
    return std::nullopt;
  }
  const int bits =
      static_cast<int>(input_bits) - static_cast<int>(level_log2(g, static_cast<unsigned>(level)));
  if (bits < 1 || bits > static_cast<int>(table_bits(g) + kMaxConcatenatedLog2)) {
    return std::nullopt;
  }
  return static_cast<std::uint8_t>(level);
}

Event check_stage2(const Ste& ste, const Features& f, StreamConfig& config) {
  const std::optional<Granule> granule = granule_of_tg0(ste.s2_granule);
  if (!granule || !f.has(*granule) || !ste.s2_aarch64 || ste.s2_big_endian) {
    return Event::kBadSte;
  }
  if (!input_size_legal(ste.s2_t0sz, *granule, f)) {
    return Event::kBadSte;
  }
  Stage& s2 = config.tt2;
  s2.number = 2;
  s2.enabled = true;
  s2.granule = *granule;
  s2.input_bits = static_cast<std::uint8_t>(64 - ste.s2_t0sz);
  const auto start = stage2_start(ste, *granule, s2.input_bits);
  s2.output_bits = output_bits(ste.s2_size, *granule, f);
  if (!start || is_beyond(ste.s2_table, s2.output_bits)) {
    return Event::kBadSte;
  }
  s2.start_level = *start;
  s2.table = ste.s2_table;
  s2.af_fault_off = ste.s2_af_fault_off;
  s2.hw_access = ste.s2_hw_access && f.httu != Httu::kNone;
  s2.hw_dirty = s2.hw_access && ste.s2_hw_dirty && f.httu == Httu::kDirty;
  config.vmid = Vmid{ste.vmid};
  config.s2_stall = ste.s2_stall;
  config.s2_record = ste.s2_record;
  return ste.s2_stall && !f.stall ? Event::kBadSte : Event::kNone;
}

Event check_stage1(const Ste& ste, const Features& f, StreamConfig& config) {
  if (ste.s1_cd_max > f.ssid_bits || ste.s1_default_substream == 3) {
    return Event::kBadSte;
  }
  if (ste.s1_stall_disable && !f.stall) {
    return Event::kBadSte;
  }
  if (ste.s1_cd_max > 0 && (ste.s1_format == 3 || (ste.s1_format != 0 && !f.two_level_cd))) {
    return Event::kBadSte;
  }
  if (!config.s2) {  // with stage 2, STRW is ignored: NS-EL1
    if (ste.stream_world == 1 || ste.stream_world == 3 || (ste.stream_world == 2 && !f.hyp)) {
      return Event::kBadSte;
    }
    if (ste.stream_world == 2) {
      config.world = f.e2h ? StreamWorld::kEl2E2h : StreamWorld::kEl2;
    }
  }
  // The tag of stage 1 only NS-EL1 streams, too, if there is a stage 2 at all (3.17).
  config.vmid = Vmid{f.stage2 && config.world == StreamWorld::kNsEl1 ? ste.vmid : std::uint16_t{0}};
  return Event::kNone;
}

// IHI 0070 5.2 STE.EATS: IGNORED without ATS or without translation; split-stage ATS needs both
// stages and an SMMU that has it, and neither kind goes with stalls of stage 2.
Event check_eats(const Ste& ste, const Features& f, StreamConfig& config) {
  constexpr std::uint8_t kWithDpt = 3;  // reserved, as 0, for an SMMU without DPT
  const bool ignored = !f.ats || !(config.s1 || config.s2) || ste.eats == kWithDpt;
  config.eats = ignored ? std::uint8_t{0} : ste.eats;
  if (config.eats == StreamConfig::kSplitAts && (!config.s1 || !config.s2 || f.no_split_ats)) {
    return Event::kBadSte;
  }
  return config.eats != 0 && config.s2 && ste.s2_stall ? Event::kBadSte : Event::kNone;
}

struct Half {
  std::optional<Granule> granule;
  std::uint8_t tsz;
  std::uint64_t ttb;
};

Event check_half(const Half& half, const Cd& cd, const Features& f, Stage& s) {
  if (!s.enabled) {
    return Event::kNone;
  }
  if (!half.granule || !f.has(*half.granule) || !input_size_legal(half.tsz, *half.granule, f)) {
    return Event::kBadCd;
  }
  s.granule = *half.granule;
  s.input_bits = static_cast<std::uint8_t>(64 - half.tsz);
  s.start_level = static_cast<std::uint8_t>(start_level(s.granule, s.input_bits));
  s.output_bits = output_bits(cd.ips, s.granule, f);
  s.table = half.ttb;
  s.af_fault_off = cd.af_fault_off;
  s.hw_access = cd.hw_access && f.httu != Httu::kNone;
  s.hw_dirty = s.hw_access && cd.hw_dirty && f.httu == Httu::kDirty;
  return is_beyond(s.table, s.output_bits) ? Event::kBadCd : Event::kNone;
}

}  // namespace

const Stage& StreamConfig::stage1_for(std::uint64_t input) const {
  // A regime without ASIDs has one range only.
  if (world == StreamWorld::kEl2 || world == StreamWorld::kEl3) {
    return tt0;
  }
  // Bit 55 selects where the top byte is ignored; elsewhere bits [63:55] must be equal anyway.
  return bit(input, 55) ? tt1 : tt0;
}

Event check_ste(const Ste& ste, const Features& features, StreamConfig& config) {
  config = StreamConfig{};
  if (!ste.valid) {
    return Event::kBadSte;
  }
  config.contiguous = ste.contiguous;
  config.prefetch = ste.prefetch & 3U;
  config.privilege_override = ste.privilege_override;
  config.instruction_override = ste.instruction_override;
  if (ste.config == 0) {
    return Event::kNone;
  }
  if ((ste.config & 4U) == 0) {
    return Event::kBadSte;  // reserved
  }
  config.s1 = (ste.config & 1U) != 0;
  config.s2 = (ste.config & 2U) != 0;
  if ((config.s1 && !features.stage1) || (config.s2 && !features.stage2)) {
    return Event::kBadSte;
  }
  config.kind =
      config.s1 || config.s2 ? StreamConfig::Kind::kTranslate : StreamConfig::Kind::kBypass;
  if (const Event event = check_eats(ste, features, config); event != Event::kNone) {
    return event;
  }
  if (config.s1) {
    if (const Event event = check_stage1(ste, features, config); event != Event::kNone) {
      return event;
    }
  }
  if (config.s2) {
    if (const Event event = check_stage2(ste, features, config); event != Event::kNone) {
      return event;
    }
  }
  config.stall = config.s2_stall && !config.s1;
  return Event::kNone;
}

Event check_cd(const Cd& cd, const Ste& ste, const Features& f, StreamConfig& config) {
  if (!cd.valid || !cd.aarch64 || cd.big_endian) {
    return Event::kBadCd;
  }
  if ((cd.stall && (!f.stall || ste.s1_stall_disable)) || (f.term_model && !cd.abort)) {
    return Event::kBadCd;
  }
  const bool one_range = config.world == StreamWorld::kEl2 || config.world == StreamWorld::kEl3;
  config.asid = Asid{one_range ? std::uint16_t{0} : cd.asid};
  config.aset = cd.aset;
  config.stall = cd.stall;
  config.s1_record = cd.record;
  config.s1_abort = cd.abort;
  config.tt0.enabled = !cd.epd0;
  config.tt0.top_byte_ignored = cd.tbi0;
  config.tt0.hierarchical_off = cd.had0;
  config.tt0.user_regime = !one_range;
  config.tt1.enabled = !cd.epd1 && !one_range;
  config.tt1.upper = true;
  config.tt1.top_byte_ignored = cd.tbi1;
  config.tt1.hierarchical_off = cd.had1;
  config.tt1.user_regime = !one_range;
  if (const Event event = check_half({granule_of_tg0(cd.tg0), cd.t0sz, cd.ttb0}, cd, f, config.tt0);
      event != Event::kNone) {
    return event;
  }
  return check_half({granule_of_tg1(cd.tg1), cd.t1sz, cd.ttb1}, cd, f, config.tt1);
}

Access effective_access(const StreamConfig& config, Access access) {
  // 0b10 and 0b11 override what came with the transaction.
  if (config.privilege_override >= 2) {
    access.privileged = config.privilege_override == 3;
  }
  if (config.instruction_override >= 2) {
    access.instruction = config.instruction_override == 3;
  }
  if (access.write) {
    access.instruction = false;  // a write is always data
  }
  return access;
}

std::uint64_t canonical_input(const StreamConfig& config, std::uint64_t input) {
  if (!config.s1) {
    return input;
  }
  const Stage& stage = config.stage1_for(input);
  if (!stage.top_byte_ignored) {
    return input;
  }
  return bit(input, 55) ? input | ~low_mask(56) : input & low_mask(56);
}

}  // namespace smmulab::smmu::hw
