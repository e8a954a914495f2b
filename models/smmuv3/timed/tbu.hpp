// SPDX-License-Identifier: Apache-2.0
// Tbu: a translation buffer unit. A transaction takes a turn in the look-up pipeline (micro TLB
// with the config cache beside it, then main TLB); a hit leaves it, a miss waits in a translation
// slot: it joins an equal miss (same stream, substream and 4K page) or asks the TCU, for which it
// needs a translation token. Rule: MMU-600 and MMU-700 manuals.
//
// An invalidation takes effect at its arrival. Transactions that were translated before it are
// remembered by the completion of the last of them; a SYNC is answered after that. (As a
// transaction tracker: all older transactions, not only those that the invalidation names.) A
// transaction that stalls keeps its slot and token. Not modelled: order of one AXI id, write data
// buffer, stash, partitions, QoS, several pipelines (LTI ports).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "models/smmuv3/hw/config_cache.hpp"
#include "models/smmuv3/hw/tlb.hpp"
#include "models/smmuv3/timed/index_queue.hpp"
#include "models/smmuv3/timed/page_index.hpp"
#include "models/smmuv3/timed/params.hpp"
#include "models/smmuv3/timed/pmu.hpp"
#include "models/smmuv3/timed/reach_meter.hpp"
#include "models/smmuv3/timed/translation.hpp"

namespace smmulab::smmu::timed {

class Tbu final : public Timed {
 public:
  enum class Accepted : std::uint8_t { kReady, kPending, kRefused };

  Tbu(Timers& timers, const TbuParams& params, Ps dti, std::uint32_t index, Timed& tcu,
      Timed& commands);

  // kReady: `passage` says all, and the client calls finished_at(). kPending: translated() will be
  // called. kRefused: all slots are in use; slot_free() will be called.
  Accepted translate(const hw::Request& request, Client& client, std::uint32_t cookie,
                     Passage& passage);
  void finished_at(SimTime done) { last_done_ = std::max(last_done_, done); }

  // For a client whose next requests differ from this one in nothing but the address: those that
  // hit the entry that was found last, or another after turn(), while nothing else goes on. How
  // many it took it says with repeated().
  struct Repeats {
    std::uint64_t input = 0;
    std::uint8_t reach_log2 = 0;
    SimTime pipe_free{};
    Ps cycle{0}, look_up{0};
    [[nodiscard]] bool covers(std::uint64_t address) const {
      return (address ^ input) >> reach_log2 == 0;
    }
    // Of transactions of this size (a power of 2) that follow one another, this the first: how many
    // more there are to the end of the entry. REQUIRES: covers(address).
    [[nodiscard]] std::uint64_t more(std::uint64_t address, unsigned size_log2) const {
      return ((input | hw::low_mask(reach_log2)) - address) >> size_log2;
    }
    // So much later all that follows.
    void pass(Ps time) { pipe_free += time; }
    // A transaction at `now`: when it may go on to memory.
    SimTime ready(SimTime now) {
      const SimTime start = std::max(now, pipe_free);
      pipe_free = start + cycle;
      return start + look_up;
    }
  };
  [[nodiscard]] bool may_repeat(const hw::Request& request) const {
    return last_.known && request.stream == last_.stream && last_.perms.allow(request.access) &&
           request.substream == last_.substream && request.kind == hw::RequestKind::kUntranslated &&
           !free_.empty();
  }
  [[nodiscard]] Repeats repeats() const {  // REQUIRES: may_repeat()
    return {last_.input, last_.reach_log2, pipe_free_, params_.cycle, params_.micro_lookup};
  }
  // False: the micro TLB has no entry for it that will do. REQUIRES: may_repeat() as for the last.
  bool turn(const hw::Request& request, Repeats& repeats) {
    const hw::TlbEntry* const entry =
        micro_.lookup_hit(last_.tag, last_.stage1, request.address, request.access);
    if (entry == nullptr) {
      return false;
    }
    last_.take(*entry);
    repeats.input = entry->input;
    repeats.reach_log2 = entry->reach_log2;
    return true;
  }
  void repeated(const Repeats& repeats, std::uint64_t times, SimTime done) {
    counters_.add(&TbuCounters::transaction, last_.stream, times);
    pipe_free_ = repeats.pipe_free;
    finished_at(done);
  }

  // The command that the next kTbuInvalidate is about. REQUIRES: it lives until the ack.
  void set_invalidation(const hw::Command& command) { invalidation_ = &command; }

  // Clients whose TLB reach is measured.
  [[nodiscard]] ReachMeter& reach() { return reach_; }

  // Faults are told by the TCU: a TLB hit without permission, a request of a kind that the stream
  // may not make, go there like misses.
  void send_faults_to_tcu() { faults_to_tcu_ = true; }

  // For the TCU.
  [[nodiscard]] const hw::Request& request_of(std::uint32_t slot) const {
    return slots_[slot].request;
  }
  [[nodiscard]] Answer& answer_of(std::uint32_t slot) { return slots_[slot].answer; }

  void fire(std::uint32_t what, std::uint32_t index) override;
  // Until now: an interval with all slots full or without tokens that is not over counts so far.
  [[nodiscard]] TbuCounters counters() const;
  // Before the first transaction.
  void set_pmu_filter(const PmuFilter& filter) { counters_.set(filter); }
  [[nodiscard]] const TbuCounters* filtered() const { return counters_.chosen(); }
  [[nodiscard]] std::uint32_t tokens_free() const { return tokens_; }
  [[nodiscard]] const hw::Tlb& micro() const { return micro_; }
  [[nodiscard]] const hw::Tlb& main() const { return main_; }

 private:
  enum Code : std::uint32_t { kSend = kFirstOwnCode };
  static constexpr std::uint32_t kNone = PageIndex::kNone;
  struct Slot {
    hw::Request request;
    Client* client = nullptr;
    std::uint32_t cookie = 0;
    std::uint32_t next = kNone;  // the next that waits for the same answer
    std::uint32_t last = kNone;  // of a leader: the end of that chain
    Answer answer;
  };
  // The micro TLB entry that was found last, while nothing has changed since; only of streams whose
  // addresses and accesses go into the look-up as they are.
  struct Last {
    bool known = false;
    StreamId stream;
    std::optional<hw::Ssid> substream;
    hw::Tag tag;
    bool stage1 = false;
    std::uint64_t input = 0, output = 0;
    std::uint8_t reach_log2 = 0;
    hw::Permissions perms;
    void take(const hw::TlbEntry& entry) {
      input = entry.input;
      output = entry.output;
      reach_log2 = entry.reach_log2;
      perms = entry.perms;
    }
  };

  [[nodiscard]] bool repeat(const hw::Request& request, Passage& passage) const;
  bool look_up(const hw::Request& request, Passage& passage);
  bool look_up_tlbs(const hw::StreamConfig& config, const hw::Request& request, Passage& passage);
  void take_hit(const hw::Tlb::Hit& hit, std::uint64_t input, Passage& passage);
  void miss(const hw::Request& request, Client& client, std::uint32_t cookie, SimTime ready);
  [[nodiscard]] std::uint32_t equal_miss(const hw::Request& request) const;
  void send(std::uint32_t slot);
  void respond(std::uint32_t slot);
  void fill(const Slot& slot);
  [[nodiscard]] static bool serves(const Slot& leader, const hw::Request& request);
  void deliver(std::uint32_t slot, const Slot& leader);
  void lead(std::uint32_t slot);
  void release(std::uint32_t slot);
  void invalidate();

  Timers& timers_;
  TbuParams params_;
  Ps dti_;
  std::uint32_t index_;
  Timed& tcu_;
  Timed& commands_;
  hw::ConfigCache config_;
  hw::Tlb micro_;
  hw::Tlb main_;
  ReachMeter reach_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  PageIndex leaders_;
  IndexQueue without_token_;
  std::vector<Client*> refused_;
  std::vector<Client*> woken_;
  std::uint32_t tokens_;
  SimTime pipe_free_{};
  SimTime last_done_{};    // of transactions translated so far
  SimTime drain_until_{};  // of those that are older than an invalidation
  SimTime full_since_{};
  SimTime no_token_since_{};
  const hw::Command* invalidation_ = nullptr;
  bool faults_to_tcu_ = false;
  Last last_;
  FilteredCounters<TbuCounters> counters_;
};

// In line: most transactions get no further than repeat().
inline Tbu::Accepted Tbu::translate(const hw::Request& request, Client& client,
                                    std::uint32_t cookie, Passage& passage) {
  if (free_.empty()) [[unlikely]] {
    refused_.push_back(&client);
    return Accepted::kRefused;
  }
  counters_.add(&TbuCounters::transaction, request.stream);
  const SimTime start = std::max(timers_.now(), pipe_free_);
  pipe_free_ = start + params_.cycle;
  passage.ready = start + params_.micro_lookup;
  if (repeat(request, passage) || look_up(request, passage)) {
    return Accepted::kReady;
  }
  miss(request, client, cookie, passage.ready);
  return Accepted::kPending;
}

// The entry that was found last is found again: what a look-up would say, counters and replacement
// included (to use the latest entry once more changes no policy's order).
inline bool Tbu::repeat(const hw::Request& request, Passage& passage) const {
  if ((request.address ^ last_.input) >> last_.reach_log2 != 0 || !may_repeat(request)) {
    return false;
  }
  passage.verdict = Verdict::kTranslated;
  passage.fault = hw::Event::kNone;
  passage.pa = last_.output + (request.address - last_.input);
  return true;
}

}  // namespace smmulab::smmu::timed
