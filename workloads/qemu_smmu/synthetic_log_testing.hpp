// SPDX-License-Identifier: Apache-2.0
// SyntheticLog: QEMU SMMU logs of any length, from a model of QEMU's own that is independent of the
// one under test (hw/arm/smmu-common.c, smmuv3.c): an IOTLB of keys (asid, iova, level) emptied
// whole when full, a config cache by StreamID, ranges split into powers of 2. Eight devices share
// five stage 1 spaces of pages and blocks, 4K granule; software maps, unmaps parts, moves devices,
// and invalidates, at once or later.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/random.hpp"

namespace smmulab::workloads::qemu::testing {

// kOld: 7.2. kNew: 9.x, of an SMMU with both stages (stage=nested).
enum class Spelling : std::uint8_t { kOld, kNew };

// The layout of an address space.
inline constexpr std::uint64_t kPage = 4096, kBlock = 2ULL << 20U;
inline constexpr std::uint64_t kAreas = 16;  // of 2 MiB, in each space: each is one block, or pages
inline constexpr std::uint64_t kUsed = 24;   // pages of an area of pages
[[nodiscard]] constexpr unsigned shift_of(unsigned level) {
  return 12 + 9 * (3 - level);
}

class SyntheticLog {
 public:
  using Sink = std::function<void(const std::string&)>;
  SyntheticLog(std::uint64_t seed, Spelling spelling, Sink sink, std::size_t iotlb_entries = 256);
  void run(std::uint64_t translations);  // successful ones

  struct Counts {
    std::uint64_t translations = 0, hits = 0, flushes = 0, faults = 0, blocks = 0;
    std::map<std::string, std::uint64_t> commands;
  };
  Counts counts;

 private:
  struct Leaf {
    std::uint64_t pa = 0;
    unsigned log2 = 12;
    bool writable = true, global = false;
  };
  struct Space {
    std::uint64_t asid = 0, root = 0, cd = 0;
    std::map<std::uint64_t, Leaf> leaves;                                // by first address
    std::map<std::pair<unsigned, std::uint64_t>, std::uint64_t> tables;  // by level, prefix
  };
  struct Device {
    std::uint64_t sid = 0;
    std::size_t space = 0;
    std::optional<std::size_t> cached;  // in QEMU's config cache
  };
  using Key = std::tuple<std::uint64_t, std::uint64_t, unsigned>;  // asid, iova, level

  void line(const std::string& text);
  void access();
  Leaf* leaf_at(Space& space, std::uint64_t va);
  std::size_t configure(Device& device);
  const Leaf* lookup(const Space& space, std::uint64_t va) const;
  bool walk(Space& space, std::uint64_t va, const Leaf* leaf);
  void insert(const Space& space, std::uint64_t va, const Leaf& leaf);
  void success(const Device& device, std::uint64_t va, const Leaf& leaf);
  void fault(const Device& device, const char* event);
  // What software does (synthetic_log_software_testing.cpp).
  void boot();
  void map();
  void unmap();
  void move();
  void opcode(const std::string& name);
  void sync();
  void invalidate(const Space& space, std::uint64_t va, std::uint64_t bytes);
  void invalidate_range(const Space& space, std::uint64_t va, std::uint64_t bytes, bool any_asid);
  void invalidate_span(std::optional<std::uint64_t> asid, std::uint64_t va, unsigned tg,
                       std::uint64_t pages, unsigned ttl);
  void config_invalidate(Device& device);
  std::string vmid() const { return spelling_ == Spelling::kNew ? " vmid=0" : ""; }
  std::uint64_t pick(std::uint64_t bound) { return random_.uniform_int(bound); }

  RandomStream random_;
  Spelling spelling_;
  Sink sink_;
  std::size_t iotlb_entries_;
  std::array<Space, 5> spaces_;
  std::array<Device, 8> devices_;
  std::map<Key, Leaf> iotlb_;
  std::vector<std::function<void()>> later_;  // invalidations that software has put off
  std::uint64_t next_frame_ = 0x5000'0000;
  std::uint64_t next_pa_ = 0x9000'0000;
  std::uint64_t lines_ = 0;
  unsigned thread_ = 100;
};

}  // namespace smmulab::workloads::qemu::testing
