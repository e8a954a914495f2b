// SPDX-License-Identifier: Apache-2.0
#include "workloads/dma/patterns.hpp"

#include <fmt/format.h>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace smmulab::workloads::dma {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::uint64_t kMostBytes = 1ULL << 40U;

void check(const PatternSpec& s) {
  if (s.name != "ring" && s.name != "random" && s.name != "strided") {
    throw ConfigError(fmt::format("unknown pattern '{}'; known: ring, random, strided", s.name));
  }
  if (s.page != 4096 && s.page != 65536 && s.page != 2ULL << 20U && s.page != 32ULL << 20U &&
      s.page != 1ULL << 30U) {
    throw ConfigError(fmt::format("page = {}: expected one of 4k, 64k, 2M, 32M, 1G", s.page));
  }
  if (s.footprint == 0 || s.footprint % s.page != 0 || s.footprint > kMostBytes) {
    throw ConfigError(fmt::format("footprint = {}: expected a multiple of the page ({}) up to {}",
                                  s.footprint, s.page, kMostBytes));
  }
  if (s.stride == 0 || s.accesses == 0) {
    throw ConfigError("stride and accesses: expected 1 or more");
  }
}

}  // namespace

void run_pattern(const PatternSpec& spec, DmaStudy& study) {
  check(spec);
  DmaOp map;
  map.kind = DmaOp::Kind::kMap;
  map.space = 1;
  map.size = spec.page;
  map.contiguous = spec.page == 65536 || spec.page == 32ULL << 20U;
  for (std::uint64_t at = 0; at < spec.footprint; at += spec.page) {
    map.iova = at;
    map.pa = at % study.output_bytes();  // beyond it, pages share physical ones
    study.run(map);
  }
  RandomStream random(spec.seed, "dma pattern");
  DmaOp access;
  access.space = 1;
  access.stream = 1;
  const std::uint64_t warm = spec.accesses / 5;
  // A ring goes round in order; strides that do not divide the area shift by one block a round.
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < spec.accesses; ++i) {
    if (i == warm) {
      study.reset();
    }
    if (spec.name == "random") {
      access.iova = random.uniform_int(spec.footprint / kBlock) * kBlock;
    } else {
      access.iova = at;
      at += spec.stride;
      if (at >= spec.footprint) {
        at = spec.name == "ring" ? 0 : (at + kBlock) % spec.footprint;
      }
    }
    study.run(access);
  }
}

}  // namespace smmulab::workloads::dma
