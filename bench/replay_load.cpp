// SPDX-License-Identifier: Apache-2.0
#include "bench/replay_load.hpp"

#include <array>
#include <stdexcept>

#include "workloads/replay.hpp"
#include "workloads/trace_writer.hpp"

namespace smmulab::bench {
namespace {

using workloads::Op;
using workloads::OpKind;

constexpr std::uint32_t kFirstHwpt = 1U << 16U;

workloads::TraceHeader header_of(const ReplayShape& shape) {
  workloads::TraceHeader header;
  header.smmu_count = shape.independent ? shape.threads : 1;
  for (std::uint32_t i = 0; i < shape.threads; ++i) {
    header.cpus.push_back({0, 0});
    header.groups.push_back(GroupId{i});
    header.devsets.push_back(DevSetId{i});
    header.devices.push_back({.name = "device" + std::to_string(i),
                              .smmu = SmmuIndex{shape.independent ? i : 0},
                              .stream_ids = {StreamId{i}},
                              .group = GroupId{i},
                              .devset = DevSetId{i},
                              .msi = std::nullopt});
    header.threads.push_back({"thread" + std::to_string(i), CpuId{i}});
  }
  return header;
}

// The objects of one thread.
struct Names {
  Names(const ReplayShape& shape, std::uint32_t thread)
      : ioas(shape.independent ? thread + 1 : 1),
        hwpts{ObjectId{kFirstHwpt + 2 * thread}, ObjectId{kFirstHwpt + 2 * thread + 1}} {}
  ObjectId ioas;
  std::array<ObjectId, 2> hwpts;
};

class Script {
 public:
  Script(const std::string& path, const ReplayShape& shape)
      : writer_(path, header_of(shape)), shape_(shape) {}

  void write() {
    writer_.phase("setup");
    for (std::uint32_t i = 0; i < shape_.threads; ++i) {
      set_up(i);
    }
    writer_.phase("moves");
    const std::uint64_t rounds = shape_.operations / kRound / shape_.threads;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      for (std::uint32_t i = 0; i < shape_.threads; ++i) {
        move(i);
      }
    }
    writer_.finish();
  }

 private:
  static constexpr std::uint64_t kRound = 3;

  void op(std::uint32_t thread, OpKind kind, ObjectId object, ObjectId pt) {
    Op op;
    op.issue = SimTime{Ps{1'000'000} * static_cast<std::int64_t>(++issued_)};
    op.kind = kind;
    op.thread = workloads::ThreadIndex{thread};
    op.device = DeviceIndex{thread};
    op.object = object;
    op.pt = pt;
    writer_.write(op);
  }
  void set_up(std::uint32_t thread) {
    const Names names(shape_, thread);
    op(thread, OpKind::kBind, {}, {});
    if (thread == 0 || shape_.independent) {
      op(thread, OpKind::kIoasAlloc, names.ioas, {});
    }
    for (const ObjectId hwpt : names.hwpts) {
      op(thread, OpKind::kHwptAlloc, hwpt, names.ioas);
    }
  }
  void move(std::uint32_t thread) {
    const Names names(shape_, thread);
    op(thread, OpKind::kAttach, {}, names.hwpts[0]);
    op(thread, OpKind::kReplace, {}, names.hwpts[1]);
    op(thread, OpKind::kDetach, {}, {});
  }

  workloads::TraceWriter writer_;
  ReplayShape shape_;
  std::uint64_t issued_ = 0;
};

}  // namespace

void write_trace(const std::string& path, const ReplayShape& shape) {
  Script(path, shape).write();
}

Sample run_replay(const std::string& path, const ReplayShape& shape, Record* record) {
  workloads::Settings settings;
  settings.driver.global_asid_lock = !shape.independent;
  settings.hardware.kind = shape.hardware;
  workloads::ReplayOptions options;
  options.record = record;
  const Meter meter;
  const workloads::ReplayResult result = workloads::replay(path, settings, options);
  Sample sample = meter.stop(0);
  for (const OpKind kind : {OpKind::kAttach, OpKind::kReplace, OpKind::kDetach}) {
    const workloads::KindResult& of_kind = result.kinds.at(static_cast<std::size_t>(kind));
    sample.count += of_kind.count;
    if (of_kind.errors != 0 || result.status != "ok") {
      throw std::runtime_error("an operation of the generated trace failed");
    }
  }
  return sample;
}

}  // namespace smmulab::bench
