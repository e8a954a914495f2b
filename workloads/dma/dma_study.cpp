// SPDX-License-Identifier: Apache-2.0
#include "workloads/dma/dma_study.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/error.hpp"

namespace smmulab::workloads::dma {

namespace hw = smmu::hw;

namespace {

const hw::SmmuParams& checked(const hw::SmmuParams& params) {
  hw::validate(params);
  return params;
}

}  // namespace

DmaStudy::DmaStudy(const hw::SmmuParams& params, std::string file)
    : file_(std::move(file)),
      features_(hw::features_of(checked(params))),
      caches_(hw::shape_of(params), features_, streams_.base()),
      output_bytes_(std::uint64_t{1} << params.oas) {}

void DmaStudy::measure(const smmu::timed::TimedParams& params, std::uint32_t outstanding) {
  latency_.emplace(params, features_, streams_.base(), memory_, frames_, outstanding);
}

std::optional<Latencies> DmaStudy::latencies() {
  return latency_ ? latency_->latencies() : std::nullopt;
}

void DmaStudy::reset() {
  before_ = now();
  if (latency_) {
    latency_->reset();
  }
}

// Accesses so far are to find the tables as they are.
void DmaStudy::settle() {
  if (latency_) {
    latency_->settle();
  }
}

void DmaStudy::fail(const DmaOp& op, const std::string& message) const {
  if (op.line == 0) {
    throw ConfigError(fmt::format("{}: {}", file_, message));
  }
  throw TraceError(file_, op.line, 1, message);
}

DmaStudy::Space& DmaStudy::space(std::uint16_t id) {
  Space& s = spaces_[id];
  if (!s.table) {
    s.table = std::make_unique<hw::PageTable>(frames_, hw::TableFormat{});
    hw::Cd cd;
    cd.valid = true;
    cd.aarch64 = true;
    cd.abort = true;
    cd.epd1 = true;
    cd.asid = id;
    hw::point_cd_at(cd, *s.table);
    hw::ContextTable cds(frames_, hw::ContextTable::Format::kLinear, 0);
    cds.write(hw::Ssid{0}, cd);
    s.cd = cds.address_of(hw::Ssid{0});
  }
  return s;
}

void DmaStudy::attach(std::uint32_t stream, std::uint16_t to) {
  const auto found = attached_.find(stream);
  if (found != attached_.end() && found->second == to) {
    return;
  }
  settle();
  hw::Ste ste;
  ste.valid = true;
  ste.config = static_cast<std::uint8_t>(hw::Ste::Config::kS1);
  ste.s1_context_ptr = space(to).cd;
  streams_.write(StreamId{stream}, ste);
  if (found != attached_.end()) {
    hw::Command cfgi;
    cfgi.opcode = hw::Opcode::kCfgiSte;
    cfgi.stream = StreamId{stream};
    invalidate(cfgi);
  }
  attached_[stream] = to;
}

void DmaStudy::map(const DmaOp& op) {
  settle();
  hw::PageTable& table = *space(op.space).table;
  hw::Protection protection;
  protection.write = !op.read_only;
  hw::MapError error = table.map(op.iova, op.pa, op.size, protection, op.contiguous);
  if (error == hw::MapError::kExists) {
    for (std::uint64_t at = op.iova; at < op.iova + op.size;) {
      const std::uint64_t done = table.unmap(at, op.iova + op.size - at);
      at += done == 0 ? 4096 : done;
    }
    error = table.map(op.iova, op.pa, op.size, protection, op.contiguous);
  }
  switch (error) {
    case hw::MapError::kNone:
      return;
    case hw::MapError::kExists:
      fail(op, "this maps a part of a block that is mapped; unmap the block first");
    case hw::MapError::kRange:
      fail(op, "IOVA and physical address have 48 bits");
    case hw::MapError::kUnaligned:
      fail(op, "IOVA, physical address and size are multiples of 4096");
  }
}

void DmaStudy::access(const DmaOp& op) {
  attach(op.stream, op.space);
  hw::Request request;
  request.stream = StreamId{op.stream};
  request.address = op.iova;
  request.access.write = op.write;
  const hw::SmmuCaches::Result result = caches_.translate(memory_, request);
  ++counted_.accesses;
  counted_.utlb_hits += result.from == hw::SmmuCaches::From::kMicro ? 1 : 0;
  counted_.mtlb_hits += result.from == hw::SmmuCaches::From::kMain ? 1 : 0;
  counted_.walks += result.from == hw::SmmuCaches::From::kWalk ? 1 : 0;
  counted_.faults += result.outcome.kind == hw::Outcome::Kind::kFault ? 1 : 0;
  counted_.config_misses += result.config_hit ? 0 : 1;
  const hw::AccessCounts& reads = result.outcome.counts;
  counted_.config_reads += reads.stream_table + reads.cd_table;
  counted_.walk_reads += reads.s1_descriptors + reads.s2_descriptors;
  if (latency_) {
    latency_->access({op.iova, StreamId{op.stream}, op.write});
  }
}

void DmaStudy::invalidate(const hw::Command& command) {
  ++counted_.invalidations;
  counted_.invalidated += caches_.apply(command);
  if (latency_) {
    latency_->command(command);
  }
}

// As Linux cuts a range: NUM up to 31 pages of 2^SCALE, from the smallest scale on. SCALE is at
// most 31; what needs more goes by up to 32 pages of it.
void DmaStudy::invalidate_range(const DmaOp& op) {
  std::uint64_t pages = (op.size + 4095) / 4096;
  std::uint64_t address = op.iova & ~std::uint64_t{4095};
  hw::Command c;
  c.opcode = hw::Opcode::kTlbiNhVa;
  c.asid = Asid{op.space};
  while (pages > 0) {
    constexpr unsigned kMostScale = 31;
    const auto scale = std::min(static_cast<unsigned>(std::countr_zero(pages)), kMostScale);
    const std::uint64_t left = pages >> scale;
    const std::uint64_t num = scale == kMostScale ? std::min<std::uint64_t>(left, 32) : left & 31U;
    c.address = address;
    c.tg = num == 1 && scale == 0 ? 0 : 1;  // a single page has no range form without a TTL
    c.scale = static_cast<std::uint8_t>(c.tg == 0 ? 0 : scale);
    c.num = static_cast<std::uint8_t>(c.tg == 0 ? 0 : num - 1);
    invalidate(c);
    address += num << (scale + 12U);
    pages -= num << scale;
  }
}

void DmaStudy::run(const DmaOp& op) {
  hw::Command c;
  switch (op.kind) {
    case DmaOp::Kind::kAccess:
      access(op);
      return;
    case DmaOp::Kind::kMap:
      map(op);
      return;
    case DmaOp::Kind::kUnmap:
      settle();
      if (space(op.space).table->unmap(op.iova, op.size) != op.size) {
        fail(op, "a part of this range is not mapped, or is a part of a block");
      }
      return;
    case DmaOp::Kind::kInvRange:
      invalidate_range(op);
      return;
    case DmaOp::Kind::kInvAll:
      c.opcode = hw::Opcode::kTlbiNsnhAll;
      break;
    case DmaOp::Kind::kInvSpace:
      c.opcode = hw::Opcode::kTlbiNhAsid;
      c.asid = Asid{op.space};
      break;
    case DmaOp::Kind::kCfgi:
      c.opcode = hw::Opcode::kCfgiSte;
      c.stream = StreamId{op.stream};
      break;
    case DmaOp::Kind::kCfgiAll:
      c.opcode = hw::Opcode::kCfgiSteRange;
      c.range = 31;
      break;
  }
  invalidate(c);
}

DmaCounts DmaStudy::now() const {
  DmaCounts counts = counted_;
  counts.mtlb_lookups = caches_.main().stats().lookups;
  counts.mtlb_probes = caches_.main().stats().probes;
  return counts;
}

DmaCounts DmaStudy::counts() const {
  DmaCounts c = now();
  c.accesses -= before_.accesses;
  c.utlb_hits -= before_.utlb_hits;
  c.mtlb_hits -= before_.mtlb_hits;
  c.walks -= before_.walks;
  c.faults -= before_.faults;
  c.config_misses -= before_.config_misses;
  c.config_reads -= before_.config_reads;
  c.walk_reads -= before_.walk_reads;
  c.mtlb_lookups -= before_.mtlb_lookups;
  c.mtlb_probes -= before_.mtlb_probes;
  c.invalidations -= before_.invalidations;
  c.invalidated -= before_.invalidated;
  return c;
}

std::string to_json(const DmaCounts& c, const std::optional<Latencies>& latencies) {
  nlohmann::json json{{"accesses", c.accesses},
                      {"utlb_hits", c.utlb_hits},
                      {"mtlb_hits", c.mtlb_hits},
                      {"walks", c.walks},
                      {"faults", c.faults},
                      {"config_misses", c.config_misses},
                      {"config_reads", c.config_reads},
                      {"walk_reads", c.walk_reads},
                      {"mtlb_lookups", c.mtlb_lookups},
                      {"mtlb_probes", c.mtlb_probes},
                      {"invalidations", c.invalidations},
                      {"invalidated", c.invalidated}};
  json["mean_ps"] = latencies ? nlohmann::json(latencies->mean_ps) : nullptr;
  json["p50_ps"] = latencies ? nlohmann::json(latencies->p50.count()) : nullptr;
  json["p99_ps"] = latencies ? nlohmann::json(latencies->p99.count()) : nullptr;
  return json.dump();
}

}  // namespace smmulab::workloads::dma
