// SPDX-License-Identifier: Apache-2.0
// The set-up of tests of commands' times: an SMMU of one or several command queues, a stream whose
// table has 16 pages from 2 MiB on, and the times that sums are made of.
#pragma once

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed::testing {

inline constexpr std::uint32_t kSid = 5;

class CommandBench : public ::testing::Test {
 protected:
  explicit CommandBench(QueueNumber queues = 1)
      : queues_(queues), table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 16, {}), hw::MapError::kNone);
    world_.attach_s1(kSid, table_);
    build();
  }
  // Anew, with p_ as it is.
  void build() {
    probe_.reset();
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    commands_.emplace(*smmu_, world_, queues_);
    probe_.emplace(smmu_->timers(), smmu_->tbu(0));
  }
  static hw::Command tlbi(std::uint64_t va, std::uint16_t asid = 1) {
    hw::Command c;
    c.opcode = hw::Opcode::kTlbiNhVa;
    c.asid = Asid{asid};
    c.address = va;
    c.leaf = true;
    return c;
  }
  [[nodiscard]] Ps read() const { return p_.memory.burst + p_.memory.latency; }
  [[nodiscard]] Ps fetch() const { return read() + p_.tcu.command_decode; }
  [[nodiscard]] Ps start() const { return p_.link.doorbell + fetch(); }
  [[nodiscard]] Ps round_trip() const { return 2 * p_.link.dti + p_.tbu.invalidate; }

  QueueNumber queues_;
  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  std::optional<Probe> probe_;
};

}  // namespace smmulab::smmu::timed::testing
