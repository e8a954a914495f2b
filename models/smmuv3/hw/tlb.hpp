// SPDX-License-Identifier: Apache-2.0
// Tlb: translations of stage 1, of stage 2 alone, or of both combined, with their true reach (page,
// block or contiguous group). Tagged as the architecture says (3.17): regime, VMID, ASID unless
// global; not by StreamID. The set is a function of the address at the entry's own size, so each
// size that is in use costs one look-up; lookup() counts them. Fully associative ones compare every
// size at once.
//
// A stage 1 block over smaller stage 2 pages comes as fragments, each an entry that hits within its
// own reach. A TLBI by VA removes every entry made from the leaf that it names an address of (Arm
// ARM D8.16: a TLBI by VA applies to the whole block), so an entry keeps the leaf's span.
// TLBI_S2_IPA leaves combined entries alone (IHI 0070 3.17; software adds a stage 1 TLBI).
//
// An entry that lacks the write it needs only because the page is clean is a miss: the walk marks
// it dirty. Not modelled: MPAM partitions, direct indexing, F_TLB_CONFLICT (overlapping entries
// that broken software can make: the smaller one is found).
#pragma once

#include <array>
#include <cstdint>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/set_assoc.hpp"
#include "models/smmuv3/hw/table_walk.hpp"

namespace smmulab::smmu::hw {

struct TlbEntry {
  Tag tag;
  std::uint64_t input = 0;   // first byte that it covers
  std::uint64_t output = 0;  // translation of that byte
  std::uint8_t reach_log2 = 12;
  std::uint8_t span_log2 = 12;  // of the leaf it was made from, at least reach_log2
  std::uint8_t level = 3;
  bool stage1 = true;  // alone or combined with stage 2; false: stage 2 alone
  bool global = false;
  bool clean = false;
  Permissions perms;
  std::uint32_t owner = 0;  // whoever it was filled for; 0: nobody in particular. No tag
};

// Told what the entries of an owner cover, more (or less).
class ReachListener {
 public:
  virtual void covered(std::uint32_t owner, std::int64_t bytes) = 0;

 protected:
  ReachListener() = default;
  ReachListener(const ReachListener&) = default;
  ReachListener& operator=(const ReachListener&) = default;
  ~ReachListener() = default;
};

struct TlbStats {
  std::uint64_t lookups = 0;  // requests
  std::uint64_t probes = 0;   // look-ups of one size
  std::uint64_t misses = 0;
  std::uint64_t fills = 0;
  std::uint64_t invalidated = 0;
};

class Tlb {
 public:
  explicit Tlb(const CacheShape& shape, bool honour_global = true)
      : cache_(shape), honour_global_(honour_global) {}

  struct Hit {
    const TlbEntry* entry = nullptr;  // valid until the cache changes
    std::uint32_t probes = 0;
    bool allowed = false;  // else: permission fault
    [[nodiscard]] explicit operator bool() const { return entry != nullptr; }
    [[nodiscard]] std::uint64_t output(std::uint64_t input) const {
      return entry->output + (input - entry->input);
    }
    // What the walk gave, for a cache nearer to the client. REQUIRES: a hit.
    [[nodiscard]] Translation translation(std::uint64_t input) const;
  };
  // `input` as canonical_input() makes it.
  Hit lookup(const Tag& tag, bool stage1, std::uint64_t input, const Access& access);
  // The same if it hits and is allowed; else nullptr, and nothing is counted: lookup() is to come.
  const TlbEntry* lookup_hit(const Tag& tag, bool stage1, std::uint64_t input,
                             const Access& access);
  void fill(const Tag& tag, bool stage1, std::uint64_t input, const Translation& translation,
            std::uint32_t owner = 0);
  std::uint32_t invalidate(const TlbInvalidation& what);

  // Of fills from now on that have an owner.
  void set_reach_listener(ReachListener& listener) { reach_ = &listener; }
  [[nodiscard]] const TlbStats& stats() const { return stats_; }
  [[nodiscard]] std::uint32_t size() const { return cache_.size(); }
  [[nodiscard]] std::uint64_t flushes() const { return cache_.flushes(); }
  template <class Visit>
  void for_each(const Visit& visit) const {
    cache_.for_each(visit);
  }

 private:
  [[nodiscard]] std::uint32_t set_of(const Tag& tag, std::uint64_t input, unsigned reach) const;
  const TlbEntry* find(const Tag& tag, bool stage1, std::uint64_t input, std::uint32_t& probes);
  template <class Gone>
  std::uint32_t erase(const TlbInvalidation& what, const Gone& gone);
  void gone(const TlbEntry& old);

  SetAssoc<TlbEntry> cache_;
  bool honour_global_;
  std::uint64_t sizes_ = 0;  // bit s: entries of 2^s bytes are there
  std::uint64_t spans_ = 0;  // bit s: fragments of leaves of 2^s bytes are there
  std::array<std::uint32_t, 64> live_{};
  std::array<std::uint32_t, 64> fragments_{};  // by span
  TlbStats stats_;
  ReachListener* reach_ = nullptr;
};

// Does an invalidation cover an entry? The rules of IHI 0070 3.17 and 4.4.
[[nodiscard]] bool covers(const TlbInvalidation& what, const TlbEntry& entry);
[[nodiscard]] bool covers_tag(const TlbInvalidation& what, const Tag& tag, bool stage1,
                              bool global);
[[nodiscard]] bool covers_range(const TlbInvalidation& what, std::uint64_t input, unsigned log2);

}  // namespace smmulab::smmu::hw
