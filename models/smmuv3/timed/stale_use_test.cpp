// SPDX-License-Identifier: Apache-2.0
// No stale use: random maps, unmaps, replacements of tables, DMA and invalidations in time. Every
// mapping has physical pages of its own, so each transaction tells which mapping it used. After the
// CMD_SYNC that follows a mapping's invalidation has completed, nothing that used it is under way.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kDomains = 3;
constexpr std::uint32_t kStreams = 4;
constexpr std::uint64_t kPages = 24;           // of 4K, in each domain
constexpr std::uint64_t kBlocks = 2;           // of 2M, behind them
constexpr std::uint64_t kBlockBase = 2 * k2M;  // the pages are at k2M
constexpr std::uint64_t kPayload = 1ULL << 32U;

enum class Regime : std::uint8_t { kStage1, kNested, kEl2, kEl2E2h };

// A CMD_SYNC in one of the queues.
struct Sync {
  std::uint64_t index = 0;
  QueueNumber queue = 0;
};

struct Mapping {
  std::uint32_t domain = 0;
  std::uint64_t va = 0;
  SimTime mapped{};
  SimTime cleared = kTimeMax;  // the descriptor
  std::optional<Sync> sync{};  // that follows its invalidation
  SimTime last_use{};          // completion of the last transaction that used it
};

struct Attachment {
  std::uint32_t domain = 0;
  SimTime since{};
  std::optional<Sync> sync{};  // that follows its end
  SimTime last_use{};
};

// Software, and the observer of all streams.
class Agent final : public Timed, public StreamObserver {
 public:
  Agent(std::uint64_t seed, Regime regime, bool run_ahead)
      : random_(seed, "agent"),
        regime_(regime),
        domains_(regime == Regime::kEl2 ? 1 : kDomains),
        offset_(regime == Regime::kNested ? 1ULL << 36U : 0),
        vmid_(static_cast<std::uint16_t>(regime == Regime::kNested ? 3 : 0)),
        guest_(world_.memory, offset_ + k1G),
        s2_(world_.frames, {2, hw::Granule::k4K, 48, 44, false, false, 0}),
        smmu_(params(seed), features(), streams(), world_.memory, run_ahead),
        queues_(seed % 5 < 2 ? 3 : 1),
        commands_(smmu_, world_, queues_) {
    // By pages where the tables of stage 1 are, so that walks are long; by blocks for the payload,
    // but for its beginning: there blocks of stage 1 come as fragments.
    EXPECT_EQ(s2_.map_pages(k1G, offset_ + k1G, 12, 16 * k2M / k4K, {}), hw::MapError::kNone);
    EXPECT_EQ(s2_.map_pages(kPayload, offset_ + kPayload, 12, k1G / k4K, {}), hw::MapError::kNone);
    EXPECT_EQ(s2_.map_pages(kPayload + k1G, offset_ + kPayload + k1G, 30, 63, {}),
              hw::MapError::kNone);
    half_.resize(domains_);
    for (std::uint32_t d = 0; d < domains_; ++d) {
      tables_.push_back(std::make_unique<hw::PageTable>(
          guest_, hw::TableFormat{1, hw::Granule::k4K, 48, 40, false, true, offset_}));
      live_.emplace_back();
    }
    for (std::uint32_t s = 0; s < kStreams; ++s) {
      for (auto& cd : cds_[s]) {
        cd = std::make_unique<hw::ContextTable>(guest_, hw::ContextTable::Format::kLinear, 0,
                                                offset_);
      }
      attach(s, s % domains_);
      store_ste(s);
      StreamParams p;
      p.stream = StreamId{s};
      // Of the blocks few pages are used, which come back while their fragments are cached.
      p.pattern = s == 3 ? Pattern::kStrided : Pattern::kRandom;
      p.stride = kBlocks * k2M / 16;
      p.base = s == 3 ? kBlockBase : k2M;
      p.span = s == 3 ? kBlocks * k2M : kPages * k4K;
      p.payload = 256;
      p.outstanding = 12;
      p.write = s % 2 == 1;
      p.interval = 90_ns + 10_ns * s;
      p.seed = seed;
      smmu_.add_stream(p, s % 2).set_observer(this);
    }
    for (std::uint32_t d = 0; d < domains_; ++d) {
      for (std::uint64_t page = 0; page < kPages; page += 2) {
        toggle(d, k2M + page * k4K, 12);
      }
    }
    smmu_.timers().at(kTimeZero, *this, 0);
  }

  void run(Ps time) {
    smmu_.timers().run_until(kTimeZero + time);
    check_syncs();
  }

  void fire(std::uint32_t /*what*/, std::uint32_t /*index*/) override {
    check_syncs();
    if (::testing::Test::HasFatalFailure()) {
      return;
    }
    if (!commands_.full()) {
      act();
    }
    smmu_.timers().after(Ps{static_cast<std::int64_t>(random_.uniform_int(4'000'000))}, *this, 0);
  }

  void transaction(const hw::Request& request, const Passage& passage, SimTime issued,
                   SimTime done) override {
    if (!passage.passes()) {
      ++refused;
      return;
    }
    ++passed;
    const auto it = std::prev(mappings_.upper_bound(passage.pa - offset_));
    Mapping& m = it->second;
    const std::uint64_t offset = passage.pa - offset_ - it->first;
    ASSERT_EQ(request.address, m.va + offset);
    ASSERT_GE(passage.ready, m.mapped);
    if (m.sync) {
      ASSERT_LE(done, done_at(*m.sync)) << "a use after the SYNC";
    }
    m.last_use = std::max(m.last_use, done);
    late_uses += done > m.cleared ? 1U : 0U;
    // Some attachment of the stream that was not over when it was complete explains it; the latest
    // of those with this table.
    bool explained = false;
    std::vector<Attachment>& list = attachments_[request.stream.value()];
    for (auto a = list.rbegin(); a != list.rend() && !explained; ++a) {
      const bool over = a->sync && done_at(*a->sync) < done;
      explained = a->domain == m.domain && !over;
      a->last_use = explained ? std::max(a->last_use, done) : a->last_use;
    }
    ASSERT_TRUE(explained) << "through a table that was detached; issued at " << to_ps(issued);
  }

  std::uint64_t passed = 0, refused = 0, late_uses = 0, stage2_unmaps = 0;
  [[nodiscard]] TimedSmmu& smmu() { return smmu_; }

 private:
  static TimedParams params(std::uint64_t seed) {
    TimedParams p;
    p.tbus = 2;
    p.link.doorbell = seed % 2 == 0 ? 150_ns : 0_ns;
    p.tbu.micro.entries = 4;
    p.tbu.main.entries = seed % 3 == 0 ? 0 : 32;
    p.tbu.xlate_slots = 8;
    p.tbu.tokens = 4;
    p.tcu.config = {2, 1, hw::Policy::kLru, 1};
    p.tcu.xlate_slots = 4;
    p.tcu.ptw_slots = 2;
    p.tcu.walk_unified = seed % 2 == 0;
    p.tcu.walk.entries = seed % 5 == 0 ? 0 : 32;
    p.memory.latency = Ps{static_cast<std::int64_t>(20'000 + seed % 7 * 60'000)};
    return p;
  }
  const hw::StreamTableBase& streams() { return world_.streams.base(); }
  const hw::Features& features() {
    world_.features.e2h = regime_ == Regime::kEl2E2h;
    return world_.features;
  }
  [[nodiscard]] bool el2() const { return regime_ == Regime::kEl2 || regime_ == Regime::kEl2E2h; }

  void store_ste(std::uint32_t stream) {
    hw::Ste ste =
        hw::testing::World::ste_of(offset_ != 0 ? hw::Ste::Config::kNested : hw::Ste::Config::kS1);
    ste.vmid = vmid_.value();
    ste.stream_world = el2() ? 2 : 0;
    cds_[stream][which_[stream]]->point_ste(ste);
    if (offset_ != 0) {
      point_ste_at(ste, s2_);
    }
    world_.streams.write(StreamId{stream}, ste);
  }
  void attach(std::uint32_t stream, std::uint32_t domain) {
    hw::Cd cd = hw::testing::World::base_cd(static_cast<std::uint16_t>(domain + 1));
    point_cd_at(cd, *tables_[domain]);
    cds_[stream][which_[stream]]->write(hw::Ssid{0}, cd);
    attachments_[stream].push_back({domain, smmu_.timers().now()});
  }

  void act() {
    const std::uint64_t what = random_.uniform_int(10);
    const auto domain = static_cast<std::uint32_t>(random_.uniform_int(domains_));
    if (what <= 1) {
      replace(static_cast<std::uint32_t>(random_.uniform_int(kStreams)), domain);
    } else if (what == 2) {
      toggle(domain, kBlockBase + k2M * random_.uniform_int(kBlocks), 21);
    } else {
      toggle(domain, k2M + k4K * random_.uniform_int(kPages), 12);
    }
  }

  // To another domain's table and ASID: by the CD, through V = 0 as Linux does, or by an STE that
  // names another CD table.
  void replace(std::uint32_t stream, std::uint32_t domain) {
    const QueueNumber queue = stream % queues_;
    hw::Command cfgi;
    cfgi.stream = StreamId{stream};
    cfgi.leaf = true;
    Attachment& old = attachments_[stream].back();
    if (random_.bernoulli(0.5)) {
      which_[stream] = 1 - which_[stream];
      cfgi.opcode = random_.bernoulli(0.5) ? Opcode::kCfgiSte : Opcode::kCfgiSteRange;
      cfgi.range = static_cast<std::uint8_t>(random_.uniform_int(3));
      commands_.add(cfgi, queue);
      old.sync = {commands_.add(Opcode::kSync, queue), queue};
      attach(stream, domain);
      store_ste(stream);
      commands_.ring(queue);
      return;
    }
    cds_[stream][which_[stream]]->write(hw::Ssid{0}, hw::Cd{});
    constexpr Opcode kOfCds[] = {Opcode::kCfgiCd, Opcode::kCfgiCdAll, Opcode::kCfgiSte};
    cfgi.opcode = kOfCds[random_.uniform_int(3)];
    commands_.add(cfgi, queue);
    old.sync = {commands_.add(Opcode::kSync, queue), queue};
    // The new CD is written without waiting: between the two syncs either may be seen.
    attach(stream, domain);
    commands_.add(cfgi, queue);
    commands_.add(Opcode::kSync, queue);
    commands_.ring(queue);
  }

  void toggle(std::uint32_t domain, std::uint64_t va, unsigned log2) {
    const auto it = live_[domain].find(va);
    if (it == live_[domain].end()) {
      const std::uint64_t pa = (next_pa_ + hw::low_mask(log2)) & ~hw::low_mask(log2);
      next_pa_ = pa + (1ULL << log2);
      if (half_[domain].erase(va) != 0) {
        clear_stage1(domain, va);
      }
      ASSERT_EQ(tables_[domain]->map_pages(va, pa, log2, 1, {}), hw::MapError::kNone);
      mappings_[pa] = {domain, va, smmu_.timers().now()};
      live_[domain][va] = pa;
      return;  // like Linux: a map sends no command
    }
    if (regime_ == Regime::kNested && log2 == 12 && it->second < kPayload + k1G &&
        random_.bernoulli(0.3)) {
      unmap_stage2(domain, va, it->second);
      return;
    }
    ASSERT_EQ(tables_[domain]->unmap(va, 1ULL << log2), 1ULL << log2);
    Mapping& m = mappings_[it->second];
    live_[domain].erase(it);
    m.cleared = smmu_.timers().now();
    const QueueNumber queue = domain % queues_;
    commands_.add(invalidation(domain, va, log2), queue);
    m.sync = {commands_.add(Opcode::kSync, queue), queue};
    commands_.ring(queue);
  }

  // As a hypervisor takes a page from a guest: stage 1 goes on naming the IPA. What stage 1 has in
  // combined entries goes by an invalidation of its own.
  void unmap_stage2(std::uint32_t domain, std::uint64_t va, std::uint64_t ipa) {
    ++stage2_unmaps;
    ASSERT_EQ(s2_.unmap(ipa, k4K), k4K);
    Mapping& m = mappings_[ipa];
    live_[domain].erase(va);
    half_[domain].insert(va);
    m.cleared = smmu_.timers().now();
    const QueueNumber queue = domain % queues_;
    hw::Command c;
    c.vmid = vmid_;
    c.address = ipa;
    c.leaf = true;
    c.opcode = Opcode::kTlbiS2Ipa;
    commands_.add(c, queue);
    c.opcode = Opcode::kTlbiNhAll;
    commands_.add(c, queue);
    m.sync = {commands_.add(Opcode::kSync, queue), queue};
    commands_.ring(queue);
  }
  // The guest's own unmap of what has no page behind it any more.
  void clear_stage1(std::uint32_t domain, std::uint64_t va) {
    ASSERT_EQ(tables_[domain]->unmap(va, k4K), k4K);
    const QueueNumber queue = domain % queues_;
    commands_.add(invalidation(domain, va, 12), queue);
    commands_.add(Opcode::kSync, queue);
    commands_.ring(queue);
  }

  hw::Command invalidation(std::uint32_t domain, std::uint64_t va, unsigned log2) {
    hw::Command c;
    c.asid = Asid{static_cast<std::uint16_t>(domain + 1)};
    c.vmid = vmid_;
    c.address = va;
    c.leaf = true;
    const std::uint64_t which = random_.uniform_int(6);
    if (el2()) {
      const bool asids = regime_ == Regime::kEl2E2h;
      c.opcode = which == 0            ? Opcode::kTlbiEl2All
                 : which == 1 && asids ? Opcode::kTlbiEl2Asid
                 : which == 2 && asids ? Opcode::kTlbiEl2Vaa
                                       : Opcode::kTlbiEl2Va;
      as_range(c, log2);
      return c;
    }
    switch (which) {
      case 0:
        c.opcode = Opcode::kTlbiNhAsid;
        break;
      case 1:
        c.opcode = Opcode::kTlbiNhAll;
        break;
      case 2:
        c.opcode = Opcode::kTlbiNsnhAll;
        break;
      case 3:
        c.opcode = offset_ != 0 ? Opcode::kTlbiS12Vmall : Opcode::kTlbiNhVaa;
        break;
      default:
        c.opcode = Opcode::kTlbiNhVa;
        break;
    }
    as_range(c, log2);
    return c;
  }
  void as_range(hw::Command& c, unsigned log2) {
    const bool by_va = c.opcode == Opcode::kTlbiNhVa || c.opcode == Opcode::kTlbiEl2Va;
    if (by_va && random_.bernoulli(0.5)) {
      c.tg = 1;
      c.num = log2 == 12 ? 0 : 15;
      c.scale = log2 == 12 ? 0 : 5;
      c.ttl = log2 == 12 ? 3 : 2;
    }
  }

  [[nodiscard]] SimTime done_at(const Sync& sync) const {
    return commands_.done(sync.index, sync.queue);
  }

  // Uses that became known before their SYNC completed must have been over by then.
  void check_syncs() {
    for (auto& [pa, m] : mappings_) {
      if (m.sync && done_at(*m.sync) != kTimeMax) {
        ASSERT_LE(m.last_use, done_at(*m.sync));
      }
    }
    for (const auto& list : attachments_) {
      for (const Attachment& a : list) {
        if (a.sync) {
          ASSERT_LE(a.last_use, done_at(*a.sync));
        }
      }
    }
  }

  hw::testing::World world_;
  RandomStream random_;
  Regime regime_;
  std::uint32_t domains_;  // one at EL2 without E2H, which has no ASIDs
  std::uint64_t offset_;   // of stage 2; 0: stage 1 alone
  Vmid vmid_;
  hw::FrameAllocator guest_;
  hw::PageTable s2_;
  TimedSmmu smmu_;
  // Those of a domain's invalidations and of a stream's are all in one queue each.
  QueueNumber queues_;
  Commands commands_;
  std::vector<std::unique_ptr<hw::PageTable>> tables_;
  std::array<std::array<std::unique_ptr<hw::ContextTable>, 2>, kStreams> cds_;
  std::array<std::uint32_t, kStreams> which_{};               // of the two its STE names
  std::vector<std::map<std::uint64_t, std::uint64_t>> live_;  // by domain: va to pa
  std::vector<std::set<std::uint64_t>> half_;                 // by domain: va without stage 2
  std::map<std::uint64_t, Mapping> mappings_;                 // by first physical byte
  std::array<std::vector<Attachment>, kStreams> attachments_;
  std::uint64_t next_pa_ = kPayload;
};

TEST(StaleUseTest, NothingIsUsedAfterTheSyncOfItsInvalidation) {
  std::uint64_t passed = 0, refused = 0, late = 0, stage2_unmaps = 0, late_at_el2 = 0;
  for (std::uint64_t seed = 1; seed <= 56; ++seed) {
    const bool el1 = seed <= 40;
    const Regime at_el1 = seed % 4 < 2 ? Regime::kNested : Regime::kStage1;
    const Regime at_el2 = seed % 2 == 0 ? Regime::kEl2 : Regime::kEl2E2h;
    Agent agent(seed, el1 ? at_el1 : at_el2, seed % 3 == 0);
    agent.run(1'000_us);
    if (::testing::Test::HasFatalFailure()) {
      FAIL() << "seed " << seed;
    }
    passed += agent.passed;
    refused += agent.refused;
    late += agent.late_uses;
    late_at_el2 += el1 ? 0 : agent.late_uses;
    stage2_unmaps += agent.stage2_unmaps;
  }
  EXPECT_GT(passed, 50'000U);
  EXPECT_GT(refused, 20'000U);
  // There is something to find: old translations are used between unmap and SYNC.
  EXPECT_GT(late, 100U);
  EXPECT_GT(late_at_el2, 0U);
  EXPECT_GT(stage2_unmaps, 100U);
}

}  // namespace
}  // namespace smmulab::smmu::timed
