// SPDX-License-Identifier: Apache-2.0
// A second walker, for tests only, written straight from the architecture's text as one recursive
// reading of the structures' raw bits. It shares no code with the model: no field helpers, no
// geometry, no caches. It leaves memory as it is and says what it would have written.
#pragma once

#include <cstdint>
#include <map>

#include "models/smmuv3/hw/memory.hpp"

namespace smmulab::smmu::hw::testing {

struct NaiveResult {
  unsigned event = 0;  // code of the event record
  bool s2 = false;
  unsigned cls = 2;
  std::uint64_t ipa = 0;
  std::uint64_t pa = 0;
  std::uint64_t intermediate = 0;  // with both stages: what stage 1 made of the input
  unsigned reach = 0;
  unsigned reads = 0;  // of descriptors
  std::map<std::uint64_t, std::uint64_t> writes;
};

struct NaiveAccess {
  bool write, privileged, instruction;
};

// Raw words of STE and CD (both valid), the OAS in bits.
class NaiveWalker {
 public:
  NaiveWalker(const Memory& memory, const std::uint64_t* ste, const std::uint64_t* cd, unsigned oas)
      : memory_(memory), ste_(ste), cd_(cd), oas_(oas) {}
  NaiveResult translate(std::uint64_t va, NaiveAccess access);

 private:
  struct Page {
    unsigned event = 0;
    std::uint64_t out = 0;
    unsigned reach = 0;
    bool writable = false;  // by a privileged write, as the descriptor is now
  };
  Page stage2(std::uint64_t ipa, NaiveAccess access);
  Page stage1(std::uint64_t va, NaiveAccess access);
  std::uint64_t read(std::uint64_t pa);
  bool s2_on() const { return (ste_[0] >> 2 & 1) != 0; }

  const Memory& memory_;
  const std::uint64_t* ste_;
  const std::uint64_t* cd_;
  unsigned oas_;
  NaiveResult result_;
};

}  // namespace smmulab::smmu::hw::testing
