// SPDX-License-Identifier: Apache-2.0
// Rebuilt: the SMMU's structures as a QEMU log shows them, written bit for bit into simulated
// memory: L1STD from find_ste_2lvl, the STE from get_cd, the CD from decode_cd and decode_cd_tt
// (and the ASID of the look-up that follows), descriptors from get_pte. The model then reads them
// as it always does.
//
// The log does not show all fields. Those it leaves out are as Linux sets them: no HTTU, no stall,
// S1CDMax 0 (QEMU 7.2 knows no substreams), access flag faults off (QEMU 7.2 has none).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/smmuv3/hw/config_fetch.hpp"
#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"

namespace smmulab::workloads::qemu {

namespace hw = smmu::hw;

// What the log tells about one configuration miss.
struct ConfigSeen {
  struct Half {
    bool present = false;
    std::uint8_t tsz = 0;
    std::uint8_t granule_log2 = 12;
    std::uint64_t ttb = 0;
  };
  bool two_level = false;
  std::uint8_t split = 8;
  std::uint64_t l1_table = 0, l1_index = 0, l2_table = 0, l2_index = 0;
  std::uint64_t ste = 0;  // addresses; 0: not seen
  std::uint64_t cd = 0;
  std::uint8_t output_bits = 48;
  std::array<Half, 2> halves;
};

class Rebuilt {
 public:
  hw::Memory memory;
  hw::Features features;

  // Physical addresses that a fetch or walk of the model read, in order.
  using Addresses = std::vector<std::uint64_t>;

  // Writes what was seen and lets the model fetch it. `kind`: how the stream was then treated.
  hw::Fault fetch(std::uint32_t sid, const ConfigSeen& seen, hw::Ste::Config kind,
                  std::uint64_t asid, std::uint64_t vmid, hw::StreamConfig& config,
                  Addresses& read);
  // A configuration of which only the tables' root is known, from a walk: log that begins late.
  [[nodiscard]] static hw::StreamConfig from_walk(std::uint64_t root, unsigned level,
                                                  hw::Granule granule, std::uint64_t iova,
                                                  std::uint64_t asid, std::uint64_t vmid);
  // The model's walk; addresses of descriptors in `read`.
  hw::Outcome walk(const hw::StreamConfig& config, std::uint64_t input, bool write,
                   Addresses& read);

 private:
  void write_entry(std::uint64_t address, const hw::EntryWords& words);
};

}  // namespace smmulab::workloads::qemu
