// SPDX-License-Identifier: Apache-2.0
// World: memory, stream table and tables of one or two stages for tests, put together in few verbs.
#pragma once

#include <memory>

#include "models/smmuv3/hw/config_tables.hpp"
#include "models/smmuv3/hw/page_table.hpp"
#include "models/smmuv3/hw/translator.hpp"

namespace smmulab::smmu::hw::testing {

inline constexpr std::uint64_t k4K = 4096, k64K = 65536, k2M = 2ULL << 20U, k32M = 32ULL << 20U,
                               k1G = 1ULL << 30U;

struct World {
  Memory memory;
  FrameAllocator frames{memory, 0x1000'0000};  // below the least IPS, 32 bits
  Features features;
  StreamTable streams;

  explicit World(const StreamTable::Shape& shape = {}) : streams(frames, shape) {}

  static Cd base_cd(std::uint16_t asid = 1) {
    Cd cd;
    cd.valid = true;
    cd.aarch64 = true;
    cd.abort = true;
    cd.epd0 = true;
    cd.epd1 = true;
    cd.asid = asid;
    return cd;
  }
  static Ste ste_of(Ste::Config config) {
    Ste ste;
    ste.valid = true;
    ste.config = static_cast<std::uint8_t>(config);
    return ste;
  }
  Outcome translate(std::uint32_t sid, std::uint64_t address, bool write = false,
                    std::optional<Ssid> ssid = {}) {
    Request request;
    request.stream = StreamId{sid};
    request.address = address;
    request.access.write = write;
    request.substream = ssid;
    return translate(request);
  }
  Outcome translate(const Request& request) {
    return hw::translate(memory, streams.base(), features, request);
  }
  // One stage 1 stream with a single CD.
  void attach_s1(std::uint32_t sid, const PageTable& table, std::uint16_t asid = 1,
                 std::uint16_t vmid = 0) {
    Cd cd = base_cd(asid);
    point_cd_at(cd, table);
    ContextTable cds(frames, ContextTable::Format::kLinear, 0);
    cds.write(Ssid{0}, cd);
    Ste ste = ste_of(Ste::Config::kS1);
    ste.vmid = vmid;
    cds.point_ste(ste);
    streams.write(StreamId{sid}, ste);
  }
  void attach_s2(std::uint32_t sid, const PageTable& table, std::uint16_t vmid = 1) {
    Ste ste = ste_of(Ste::Config::kS2);
    ste.vmid = vmid;
    point_ste_at(ste, table);
    streams.write(StreamId{sid}, ste);
  }
};

}  // namespace smmulab::smmu::hw::testing
