// SPDX-License-Identifier: Apache-2.0
#include "workloads/reference_state_testing.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "workloads/random_trace_testing.hpp"
#include "workloads/trace_format.hpp"

namespace smmulab::workloads::testing {

void ReferenceState::apply(const Op& op) {
  if (op.failed()) {
    return;
  }
  switch (op.kind) {
    case OpKind::kBind:
      bound_.insert(op.device);
      break;
    case OpKind::kUnbind:
      bound_.erase(op.device);
      attached_.erase(op.device);
      std::erase_if(pasids_, [&op](const auto& each) { return each.first.first == op.device; });
      break;
    case OpKind::kIoasAlloc:
      ioases_[op.object] = {};
      break;
    case OpKind::kIoasDestroy:
      ioases_.erase(op.object);
      break;
    case OpKind::kHwptAlloc:
      hwpts_[op.object] = op.pt;
      break;
    case OpKind::kHwptDestroy:
      hwpts_.erase(op.object);
      break;
    case OpKind::kAttach:
    case OpKind::kReplace:
      attached_[op.device] = op.pt;
      break;
    case OpKind::kDetach:
      attached_.erase(op.device);
      break;
    case OpKind::kMap:
      ioases_.at(op.object)[op.first()] = op.last();
      break;
    case OpKind::kCopy: {
      // One area for each stretch of an area of the source.
      const Areas source = ioases_.at(op.pt);
      const std::uint64_t from = op.source.value();
      const std::uint64_t from_last = from + (op.length.value() - 1);
      for (const auto& [first, last] : source) {
        if (first <= from_last && from <= last) {
          ioases_.at(op.object)[op.first() + (std::max(first, from) - from)] =
              op.first() + (std::min(last, from_last) - from);
        }
      }
      break;
    }
    case OpKind::kUnmap:
    case OpKind::kUnmapAll:
      unmap(op);
      break;
    case OpKind::kAccessCreate:
      accesses_[op.object] = {};
      break;
    case OpKind::kAccessDestroy:
      accesses_.erase(op.object);
      break;
    case OpKind::kAccessAttach:
      if (accesses_.at(op.object).ioas != op.pt) {
        accesses_.at(op.object) = {op.pt, {}};
      }
      break;
    case OpKind::kAccessDetach:
      accesses_.at(op.object) = {};
      break;
    case OpKind::kPin:
      accesses_.at(op.object).pins.emplace(op.first(), op.last());
      break;
    case OpKind::kUnpin: {
      auto& pins = accesses_.at(op.object).pins;
      pins.erase(pins.find({op.first(), op.last()}));
      break;
    }
    case OpKind::kAttachPasid:
      pasids_[{op.device, op.number}] = op.pt;
      break;
    case OpKind::kDetachPasid:
      pasids_.erase({op.device, op.number});
      break;
    case OpKind::kHwptInvalidate:
    case OpKind::kSetDirty:
    case OpKind::kGetDirty:
    case OpKind::kFaultAlloc:
    case OpKind::kFaultDestroy:
    case OpKind::kMsiPrepare:
    case OpKind::kResetBegin:
    case OpKind::kResetDone:
    case OpKind::kAllowIovas:
    case OpKind::kDma:
    case OpKind::kPhase:
      break;
  }
}

// A pin goes with the first area it is in.
void ReferenceState::unmap(const Op& op) {
  Areas& areas = ioases_.at(op.object);
  for (auto area = areas.begin(); area != areas.end();) {
    const auto [first, last] = *area;
    if (op.kind == OpKind::kUnmap && (first < op.first() || last > op.last())) {
      ++area;
      continue;
    }
    for (auto& [id, access] : accesses_) {
      if (access.ioas == op.object) {
        std::erase_if(access.pins, [first, last](const auto& pin) {
          return pin.first <= last && first <= pin.second;
        });
      }
    }
    area = areas.erase(area);
  }
}

std::string ReferenceState::describe(const DeviceRecord& record, DeviceIndex device) const {
  std::string to = "nothing";
  if (const auto it = attached_.find(device); it != attached_.end()) {
    const bool automatic = ioases_.contains(it->second);
    to = fmt::format("{} {}", automatic ? "automatic domain of ioas" : "hwpt", it->second.value());
  }
  return fmt::format("device {} {} to {}", record.name,
                     bound_.contains(device) ? "bound," : "unbound,", to);
}

std::vector<std::string> ReferenceState::lines(const TraceHeader& header) const {
  std::vector<std::string> lines;
  for (const auto& [ioas, areas] : ioases_) {
    for (const auto& [first, last] : areas) {
      lines.push_back(fmt::format("ioas {} area {:#x}-{:#x}", ioas.value(), first, last));
    }
  }
  for (const auto& [hwpt, ioas] : hwpts_) {
    lines.push_back(fmt::format("hwpt {} of {} {}", hwpt.value(),
                                hwpts_.contains(ioas) ? "hwpt" : "ioas", ioas.value()));
  }
  for (const auto& [device_pasid, hwpt] : pasids_) {
    const auto [device, pasid] = device_pasid;
    lines.push_back(fmt::format("device {} PASID {} to hwpt {}",
                                header.devices[device.value()].name, pasid, hwpt.value()));
  }
  for (const auto& [id, access] : accesses_) {
    lines.push_back(access.ioas == kNoObject
                        ? fmt::format("access {} to nothing", id.value())
                        : fmt::format("access {} to ioas {}", id.value(), access.ioas.value()));
    for (const auto& [first, last] : access.pins) {
      lines.push_back(fmt::format("access {} pins {:#x}-{:#x}", id.value(), first, last));
    }
  }
  for (std::uint32_t d = 0; d < header.devices.size(); ++d) {
    lines.push_back(describe(header.devices[d], DeviceIndex{d}));
  }
  std::ranges::sort(lines);
  return lines;
}

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint32_t kSlots = 16;         // areas of one thread in one ioas
constexpr std::uint32_t kFirstAccess = 100;  // of thread 0
constexpr std::array<ObjectId, 2> kIoases{ObjectId{1}, ObjectId{2}};
constexpr std::array<ObjectId, 6> kTargets{ObjectId{1}, ObjectId{2}, ObjectId{3},
                                           ObjectId{4}, ObjectId{5}, ObjectId{6}};

TraceHeader independent_header(std::uint32_t threads) {
  TraceHeader h;
  h.cpus = {{0, 0}, {0, 0}, {1, 1}, {1, 1}};
  h.smmu_count = 1;
  for (std::uint32_t i = 0; i < threads; ++i) {
    h.groups.emplace_back(i);
    h.devsets.emplace_back(i);
    h.devices.push_back({fmt::format("d{}", i),
                         SmmuIndex{0},
                         {StreamId{i}},
                         GroupId{i},
                         DevSetId{i},
                         false,
                         std::nullopt});
    h.threads.push_back({fmt::format("t{}", i), CpuId{i % 4}});
  }
  return h;
}

class IndependentTrace {
 public:
  IndependentTrace(const std::string& path, std::uint64_t seed, std::uint32_t threads)
      : random_(seed),
        writer_(path, independent_header(threads), {1, ""}),
        attached_(threads),
        accesses_(threads),
        mapped_(threads) {}

  void set_up() {
    for (std::uint32_t t = 0; t < attached_.size(); ++t) {
      Op op = begin(OpKind::kBind, 0);
      op.device = DeviceIndex{t};
      add(op);
    }
    for (const ObjectId id : kIoases) {
      Op op = begin(OpKind::kIoasAlloc, 0);
      op.object = id;
      add(op);
    }
    for (std::size_t i = kIoases.size(); i < kTargets.size(); ++i) {
      Op op = begin(OpKind::kHwptAlloc, 0);
      op.object = kTargets[i];
      op.pt = kIoases[i % 2];
      add(op);
    }
    for (std::uint32_t t = 0; t < attached_.size(); ++t) {
      Op op = begin(OpKind::kAccessCreate, 0);
      op.object = ObjectId{kFirstAccess + t};
      add(op);
    }
    writer_.phase("run");
  }

  void step(std::uint32_t thread) {
    if (random_.chance(30)) {
      access(thread);
    } else if (random_.chance(40)) {
      map_or_unmap(thread);
    } else {
      move(thread);
    }
  }

  std::vector<std::string> finish() {
    writer_.finish();
    return state_.lines(writer_.header());
  }
  std::uint64_t below(std::uint64_t n) { return random_.below(n); }

 private:
  Op begin(OpKind kind, std::uint32_t thread) {
    Op op;
    op.kind = kind;
    op.thread = ThreadIndex{thread};
    op.issue = SimTime{Ps{1000 * now_++}};
    op.ret = 0;
    return op;
  }
  void add(const Op& op) {
    writer_.write(op);
    state_.apply(op);
  }

  void move(std::uint32_t thread) {
    const bool attached = attached_[thread];
    const OpKind kind = !attached            ? OpKind::kAttach
                        : random_.chance(25) ? OpKind::kDetach
                                             : OpKind::kReplace;
    Op op = begin(kind, thread);
    op.device = DeviceIndex{thread};
    if (kind != OpKind::kDetach) {
      op.pt = kTargets[random_.below(kTargets.size())];
    }
    attached_[thread] = kind != OpKind::kDetach;
    add(op);
  }

  static Iova iova_of(std::uint32_t thread, std::uint64_t slot) {
    return Iova{(thread * kSlots + slot) * 4 * kPage};
  }

  // A map may be a copy of another slot of the thread's, if that one is mapped and large enough.
  void map_or_unmap(std::uint32_t thread) {
    const std::uint64_t slot = random_.below(kSlots);
    const std::uint64_t ioas = random_.below(kIoases.size());
    bool& mapped = mapped_[thread][ioas * kSlots + slot];
    Op op = begin(mapped ? OpKind::kUnmap : OpKind::kMap, thread);
    op.object = kIoases[ioas];
    op.iova = iova_of(thread, slot);
    op.length = Bytes{(1 + slot % 4) * kPage};
    const std::uint64_t from = random_.below(kSlots * kIoases.size());
    if (!mapped && mapped_[thread][from] && from % 4 >= slot % 4) {
      op.kind = OpKind::kCopy;
      op.pt = kIoases[from / kSlots];
      op.source = iova_of(thread, from % kSlots);
    }
    if (mapped) {
      std::erase_if(accesses_[thread].pinned, [&](std::uint64_t pinned) {
        return accesses_[thread].ioas == ioas + 1 && pinned == slot;
      });
    }
    mapped = !mapped;
    add(op);
  }

  // Attaches the thread's access if it has no ioas; else pins a mapped slot, unpins one, or leaves.
  void access(std::uint32_t thread) {
    Access& mine = accesses_[thread];
    Op op = begin(OpKind::kAccessAttach, thread);
    op.object = ObjectId{kFirstAccess + thread};
    const std::uint64_t slot = random_.below(kSlots);
    if (mine.ioas == 0) {
      mine.ioas = 1 + random_.below(kIoases.size());
      op.pt = kIoases[mine.ioas - 1];
    } else if (random_.chance(10)) {
      op.kind = OpKind::kAccessDetach;
      mine = {};
    } else if (!mine.pinned.empty() && random_.chance(40)) {
      op.kind = OpKind::kUnpin;
      op.iova = iova_of(thread, mine.pinned.back());
      op.length = Bytes{(1 + mine.pinned.back() % 4) * kPage};
      mine.pinned.pop_back();
    } else if (mapped_[thread][(mine.ioas - 1) * kSlots + slot]) {
      op.kind = OpKind::kPin;
      op.iova = iova_of(thread, slot);
      op.length = Bytes{(1 + slot % 4) * kPage};
      mine.pinned.push_back(slot);
    } else {
      return;
    }
    add(op);
  }

  TestRandom random_;
  TraceWriter writer_;
  ReferenceState state_;
  std::int64_t now_ = 0;
  std::vector<bool> attached_;
  struct Access {
    std::uint64_t ioas = 0;             // 1 or 2; 0: none
    std::vector<std::uint64_t> pinned;  // slots, each as often as it is
  };
  std::vector<Access> accesses_;
  std::vector<std::array<bool, kIoases.size() * kSlots>> mapped_;
};

}  // namespace

std::vector<std::string> write_independent_trace(const std::string& path, std::uint64_t seed,
                                                 const IndependentTraceOptions& options) {
  IndependentTrace trace(path, seed, options.threads);
  trace.set_up();
  for (std::uint64_t i = 0; i < options.operations; ++i) {
    trace.step(options.one_after_another
                   ? static_cast<std::uint32_t>(i * options.threads / options.operations)
                   : static_cast<std::uint32_t>(trace.below(options.threads)));
  }
  return trace.finish();
}

}  // namespace smmulab::workloads::testing
