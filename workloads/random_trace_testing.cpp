// SPDX-License-Identifier: Apache-2.0
#include "workloads/random_trace_testing.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <numeric>
#include <set>

#include <fmt/format.h>

namespace smmulab::workloads::testing {

std::uint64_t TestRandom::next() {
  state_ += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31U);
}

namespace {

constexpr std::uint64_t kPage = 4096;

struct Object {
  std::uint64_t generation = 0;
  std::int64_t known_from = 0;  // end of the operation that made it
  std::int64_t last_use = 0;    // latest issue of an operation that names it
  bool is_ioas = false;
  std::map<std::uint64_t, std::uint64_t> areas{};  // first -> last
  bool is_access = false;
};

class Generator {
 public:
  Generator(std::uint64_t seed, const RandomTraceOptions& options)
      : random_(seed), options_(options), thread_end_(options.threads, 0) {}

  RandomTrace run() {
    make_header();
    for (std::uint32_t d = 0; d < options_.devices; ++d) {
      bind(d);
    }
    while (trace_.ops.size() < options_.operations) {
      step();
    }
    sort_by_issue();
    return std::move(trace_);
  }

 private:
  void make_header() {
    TraceHeader& h = trace_.header;
    h.meta = {{"seed", "random"}, {"text", "µs, with a space"}};
    h.cpus = {{0, 0}, {0, 1}};
    h.smmu_count = 1;
    h.groups = {GroupId{7}};
    h.devsets = {DevSetId{0}};
    for (std::uint32_t d = 0; d < options_.devices; ++d) {
      DeviceRecord device{fmt::format("d{}", d), SmmuIndex{0}, {StreamId{d * 8}}, GroupId{7},
                          DevSetId{0},           d == 0,       std::nullopt};
      if (d == 1) {
        device.stream_ids.push_back(StreamId{0x1234});
        device.msi = MsiWindow{Iova{0x8000000}, Bytes{0x100000}};
      }
      h.devices.push_back(device);
    }
    for (std::uint32_t t = 0; t < options_.threads; ++t) {
      h.threads.push_back({fmt::format("t{}", t),
                           t % 2 == 0 ? std::optional<CpuId>(CpuId{t % 4 / 2}) : std::nullopt});
    }
  }

  // Starts an operation that could not be issued before `not_before`; it takes effect now.
  Op start(OpKind kind, std::int64_t not_before) {
    Op op;
    op.kind = kind;
    op.thread = ThreadIndex{static_cast<std::uint32_t>(random_.below(options_.threads))};
    std::int64_t& end = thread_end_[op.thread.value()];
    const std::int64_t earliest = std::max(end, not_before) + 1;
    now_ = std::max(now_ + 1, earliest);
    const auto lead = static_cast<std::int64_t>(random_.below(5000));
    const std::int64_t issue = options_.durations ? std::max(earliest, now_ - lead) : now_;
    end = now_ + static_cast<std::int64_t>(random_.below(5000));
    op.issue = SimTime{Ps{issue}};
    if (options_.durations) {
      op.duration = Ps{end - issue};
      op.ret = 0;
    } else {
      end = issue;
    }
    return op;
  }

  void record(const Op& op, Truth truth) {
    truth.effect = trace_.truth.size();
    trace_.ops.push_back(op);
    trace_.truth.push_back(truth);
  }
  std::int64_t end_of(const Op& op) const { return thread_end_[op.thread.value()]; }
  static void touch(Object& object, const Op& op) {
    object.last_use = std::max(object.last_use, op.issue.time_since_epoch().count());
  }

  void bind(std::uint32_t d) {
    Op op = start(OpKind::kBind, 0);
    op.device = DeviceIndex{d};
    devices_[d] = Object{next_generation_++, end_of(op), 0, false, {}};
    record(op, {0, devices_[d].generation, 0, 0});
  }

  std::uint32_t free_id() const {
    std::uint32_t id = 1;
    while (objects_.contains(id)) {
      ++id;
    }
    return id;
  }

  std::uint32_t pick(bool ioas_only) {
    std::vector<std::uint32_t> ids;
    for (const auto& [id, object] : objects_) {
      if (object.is_ioas || (!ioas_only && !object.is_access)) {
        ids.push_back(id);
      }
    }
    return ids.empty() ? 0 : ids[random_.below(ids.size())];
  }

  void step() {
    const std::uint64_t dice = random_.below(100);
    if (dice < 8 || objects_.empty()) {
      alloc_ioas();
    } else if (dice < 20) {
      alloc_hwpt();
    } else if (dice < 32) {
      destroy();
    } else if (dice < 50) {
      move_device();
    } else if (dice < 60) {
      use_access();
    } else if (dice < 74) {
      map();
    } else if (dice < 84) {
      copy();
    } else if (dice < 98) {
      unmap();
    } else {
      unmap_all();
    }
  }

  void alloc_ioas() {
    Op op = start(OpKind::kIoasAlloc, 0);
    const std::uint32_t id = free_id();
    op.object = ObjectId{id};
    objects_[id] = Object{next_generation_++, end_of(op), 0, true, {}};
    record(op, {0, 0, objects_[id].generation, 0});
  }

  void alloc_hwpt() {
    const std::uint32_t pt = pick(true);
    if (pt == 0) {
      return;
    }
    const auto d = static_cast<std::uint32_t>(random_.below(options_.devices));
    Op op = start(OpKind::kHwptAlloc, std::max(objects_[pt].known_from, devices_[d].known_from));
    const std::uint32_t id = free_id();
    op.device = DeviceIndex{d};
    op.pt = ObjectId{pt};
    op.object = ObjectId{id};
    op.flags = random_.chance(30) ? 2 : 0;
    touch(objects_[pt], op);
    objects_[id] = Object{next_generation_++, end_of(op), 0, false, {}};
    record(op, {0, devices_[d].generation, objects_[id].generation, objects_[pt].generation});
  }

  void destroy() {
    const std::uint32_t id = pick(false);
    if (id == 0) {
      return;
    }
    Object& object = objects_[id];
    const std::int64_t from =
        options_.destroy_races ? object.known_from : std::max(object.known_from, object.last_use);
    Op op = start(object.is_ioas ? OpKind::kIoasDestroy : OpKind::kHwptDestroy, from);
    op.object = ObjectId{id};
    if (options_.durations && random_.chance(20)) {
      op.ret = -16;
      touch(object, op);
      record(op, {0, 0, object.generation, 0});
      return;
    }
    record(op, {0, 0, object.generation, 0});
    objects_.erase(id);
  }

  void move_device() {
    const std::uint32_t pt = pick(false);
    if (pt == 0) {
      return;
    }
    const auto d = static_cast<std::uint32_t>(random_.below(options_.devices));
    const std::uint64_t dice = random_.below(3);
    const OpKind kind =
        dice == 0 ? OpKind::kAttach : (dice == 1 ? OpKind::kReplace : OpKind::kDetach);
    Op op = start(kind, std::max(objects_[pt].known_from, devices_[d].known_from));
    op.device = DeviceIndex{d};
    std::uint64_t pt_generation = 0;
    if (kind != OpKind::kDetach) {
      op.pt = ObjectId{pt};
      pt_generation = objects_[pt].generation;
      touch(objects_[pt], op);
      op.got = objects_[pt].is_ioas ? ObjectId{900} : kNoObject;
      op.ret = options_.durations && random_.chance(10) ? std::int16_t{-22} : op.ret;
    }
    record(op, {0, devices_[d].generation, 0, pt_generation});
  }

  void map() {
    const std::uint32_t id = pick(true);
    if (id == 0) {
      return;
    }
    Object& ioas = objects_[id];
    Op op = start(OpKind::kMap, ioas.known_from);
    op.object = ObjectId{id};
    op.iova = Iova{random_.below(32) * kPage};
    op.length = Bytes{(1 + random_.below(6)) * kPage};
    const auto next = ioas.areas.upper_bound(op.last());
    const bool taken = next != ioas.areas.begin() && std::prev(next)->second >= op.first();
    if (taken && !options_.durations) {
      return;
    }
    touch(ioas, op);
    if (taken) {
      op.ret = -17;
    } else {
      ioas.areas.emplace(op.first(), op.last());
    }
    record(op, {0, 0, ioas.generation, 0});
  }

  // A part of an area.
  void copy() {
    const std::uint32_t from = pick(true);
    const std::uint32_t to = pick(true);
    if (from == 0 || objects_[from].areas.empty()) {
      return;
    }
    Object& source = objects_[from];
    Object& ioas = objects_[to];
    Op op = start(OpKind::kCopy, std::max(source.known_from, ioas.known_from));
    const auto area = std::next(source.areas.begin(),
                                static_cast<std::ptrdiff_t>(random_.below(source.areas.size())));
    const std::uint64_t pages = (area->second - area->first + 1) / kPage;
    const std::uint64_t skipped = random_.below(pages);
    op.object = ObjectId{to};
    op.pt = ObjectId{from};
    op.source = Iova{area->first + skipped * kPage};
    op.length = Bytes{(1 + random_.below(pages - skipped)) * kPage};
    op.iova = Iova{random_.below(32) * kPage};
    const auto next = ioas.areas.upper_bound(op.last());
    const bool taken = next != ioas.areas.begin() && std::prev(next)->second >= op.first();
    if (taken && !options_.durations) {
      return;
    }
    touch(source, op);
    touch(ioas, op);
    if (taken) {
      op.ret = -17;
    } else {
      ioas.areas.emplace(op.first(), op.last());
    }
    record(op, {0, 0, ioas.generation, source.generation});
  }

  // Some access: makes one, destroys it, moves it, or has it pin something.
  void use_access() {
    const std::uint32_t ioas = pick(true);
    const auto found = std::find_if(objects_.begin(), objects_.end(),
                                    [](const auto& each) { return each.second.is_access; });
    if (found == objects_.end() || ioas == 0) {
      Op op = start(OpKind::kAccessCreate, 0);
      const std::uint32_t id = free_id();
      op.object = ObjectId{id};
      op.flags = random_.chance(10) ? kAccessIgnoresUnmap : 0;
      objects_[id] = Object{next_generation_++, end_of(op), 0, false, {}, true};
      record(op, {0, 0, objects_[id].generation, 0});
      return;
    }
    constexpr std::array<OpKind, 5> kKinds = {OpKind::kAccessAttach, OpKind::kAccessDetach,
                                              OpKind::kPin, OpKind::kUnpin, OpKind::kAccessDestroy};
    const OpKind kind = kKinds.at(random_.below(kKinds.size()));
    Object& access = found->second;
    std::int64_t from = std::max(access.known_from, objects_[ioas].known_from);
    if (kind == OpKind::kAccessDestroy && !options_.destroy_races) {
      from = std::max(from, access.last_use);
    }
    Op op = start(kind, from);
    op.object = ObjectId{found->first};
    const std::uint64_t generation = access.generation;
    if (kind == OpKind::kAccessAttach) {
      op.pt = ObjectId{ioas};
      touch(objects_[ioas], op);
    } else if (kind == OpKind::kPin || kind == OpKind::kUnpin) {
      op.iova = Iova{random_.below(32) * kPage};
      op.length = Bytes{(1 + random_.below(6)) * kPage};
    }
    if (kind == OpKind::kAccessDestroy) {
      objects_.erase(found);
    } else {
      touch(access, op);
    }
    record(op, {0, 0, generation, 0});
  }

  void unmap() {
    const std::uint32_t id = pick(true);
    if (id == 0 || objects_[id].areas.empty()) {
      return;
    }
    Object& ioas = objects_[id];
    Op op = start(OpKind::kUnmap, ioas.known_from);
    op.object = ObjectId{id};
    auto first = std::next(ioas.areas.begin(),
                           static_cast<std::ptrdiff_t>(random_.below(ioas.areas.size())));
    auto last = first;
    while (std::next(last) != ioas.areas.end() && random_.chance(30)) {
      ++last;
    }
    op.iova = Iova{first->first};
    op.length = Bytes{last->second - first->first + 1};
    touch(ioas, op);
    ioas.areas.erase(first, std::next(last));
    record(op, {0, 0, ioas.generation, 0});
  }

  void unmap_all() {
    const std::uint32_t id = pick(true);
    if (id == 0) {
      return;
    }
    Op op = start(OpKind::kUnmapAll, objects_[id].known_from);
    op.object = ObjectId{id};
    touch(objects_[id], op);
    objects_[id].areas.clear();
    record(op, {0, 0, objects_[id].generation, 0});
  }

  void sort_by_issue() {
    std::vector<std::size_t> order(trace_.ops.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return trace_.ops[a].issue < trace_.ops[b].issue;
    });
    RandomTrace sorted;
    sorted.header = std::move(trace_.header);
    for (const std::size_t i : order) {
      sorted.ops.push_back(trace_.ops[i]);
      sorted.ops.back().seq = sorted.ops.size() - 1;
      sorted.truth.push_back(trace_.truth[i]);
    }
    trace_ = std::move(sorted);
  }

  TestRandom random_;
  RandomTraceOptions options_;
  RandomTrace trace_;
  std::int64_t now_ = 0;  // ps; when the last operation took effect
  std::vector<std::int64_t> thread_end_;
  std::map<std::uint32_t, Object> objects_;
  std::map<std::uint32_t, Object> devices_;
  std::uint64_t next_generation_ = 1;
};

}  // namespace

RandomTrace random_trace(std::uint64_t seed, const RandomTraceOptions& options) {
  return Generator(seed, options).run();
}

}  // namespace smmulab::workloads::testing
