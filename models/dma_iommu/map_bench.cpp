// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/map_bench.hpp"

#include <algorithm>
#include <deque>
#include <limits>

#include <fmt/format.h>

#include "models/dma_iommu/dma_domain.hpp"
#include "models/smmuv3/driver/counted_driver.hpp"
#include "sim/error.hpp"
#include "sim/random.hpp"

namespace smmulab::dma_iommu {
namespace {

constexpr std::uint32_t kWarmUp = 16;                 // rounds of each CPU that unmap
constexpr std::uint32_t kInterruptEvery = 1U << 14U;  // events

class MapBench {
 public:
  MapBench(const lnx::LinuxParams& linux_kernel, const smmu::DriverParams& driver,
           const DmaParams& dma, const lnx::Topology& topology, const MapBenchOptions& options,
           const MapBenchHardware* hardware)
      : options_(options),
        dma_(dma),
        hardware_params_(hardware),
        warm_up_((dma.mode == DmaMode::kStrict ? kWarmUp : 2 * dma.fq_entries) + options.in_flight -
                 1),
        machine_(engine_, linux_kernel, topology, nullptr, options.seed),
        hardware_(hardware == nullptr
                      ? nullptr
                      : std::make_unique<smmu::TimedHardware>(engine_, hardware->smmu, "smmu")),
        driver_(smmu::make_counted_driver(machine_, driver)),
        smmu_(machine_, driver, SmmuIndex{0}, hardware_.get()),
        paging_(driver_->boot_domain(smmu_)),
        domain_(machine_, dma, *driver_, paging_),
        rounds_(options.cpus) {
    device_.name = "device";
    device_.smmu = &smmu_;
    device_.stream_ids = {StreamId{0}};
    device_.ats_supported = options.ats;
    driver_->boot_attach(device_, paging_);
    if (options.locks) {
      options.locks(machine_.locks());
    }
  }

  MapBenchResult run();

 private:
  Task<void> loop(lnx::Thread& t);
  Task<void> round(lnx::Thread& t, std::deque<Iova>& mapped, RandomStream& random);
  void count_round(const lnx::Thread& t);
  void snapshot(int sign);
  void begin_dma();

  const MapBenchOptions& options_;
  const DmaParams& dma_;
  const MapBenchHardware* hardware_params_;
  std::uint64_t warm_up_;
  Engine engine_;
  lnx::Machine machine_;
  std::unique_ptr<smmu::TimedHardware> hardware_;  // nullptr: counted; has the driver's tables
  std::unique_ptr<smmu::CountedDriver> driver_;
  smmu::Smmu smmu_;
  smmu::Master device_;
  smmu::Domain& paging_;
  DmaDomain domain_;
  std::vector<std::uint64_t> rounds_;  // by CPU, since the start or the end of the warm-up
  std::uint32_t warming_up_ = 0;       // CPUs that have not done theirs
  bool over_ = false;
  SimTime start_{};
  std::uint64_t lowest_ = std::numeric_limits<std::uint64_t>::max();  // IOVA mapped so far
  std::uint64_t end_ = 0;                                             // of the highest
  std::optional<std::size_t> stream_;                                 // the DMA's number
  MapBenchResult result_;
};

MapBenchResult MapBench::run() {
  warming_up_ = options_.cpus;
  for (std::uint32_t cpu = 0; cpu < options_.cpus; ++cpu) {
    machine_.spawn_thread(fmt::format("map-bench/{}", cpu), cpu,
                          [this](lnx::Thread& t) { return loop(t); });
  }
  if (options_.progress) {
    engine_.set_interrupt_check([this] { return !options_.progress(result_.rounds); },
                                kInterruptEvery);
  }
  engine_.run();
  const auto [least, most] = std::minmax_element(rounds_.begin(), rounds_.end());
  result_.slowest = *least;
  result_.fastest = *most;
  result_.events = engine_.events();
  return result_;
}

Task<void> MapBench::loop(lnx::Thread& t) {
  std::deque<Iova> mapped;
  RandomStream random(options_.seed, t.name());
  while (!over_) {
    co_await round(t, mapped, random);
    count_round(t);
  }
}

Task<void> MapBench::round(lnx::Thread& t, std::deque<Iova>& mapped, RandomStream& random) {
  const auto now = [this, &t] { return machine_.now() + t.unpaid(); };
  SimTime since = now();
  mapped.push_back(co_await domain_.map(t, options_.size));
  result_.mapping += now() - since;
  lowest_ = std::min(lowest_, mapped.back().value());
  end_ = std::max(end_, mapped.back().value() + options_.size.value());
  const auto longest = static_cast<std::uint64_t>(2 * dma_.gap.count());
  co_await t.run(Ps{static_cast<std::int64_t>(random.uniform_int(longest + 1))});
  if (mapped.size() < options_.in_flight) {
    co_return;
  }
  since = now();
  co_await domain_.unmap(t, mapped.front(), options_.size);
  mapped.pop_front();
  co_await t.run();
  result_.unmapping += now() - since;
}

void MapBench::count_round(const lnx::Thread& t) {
  std::uint64_t& mine = ++rounds_[t.cpu_index()];
  if (warming_up_ != 0) {
    if (mine == warm_up_ && --warming_up_ == 0) {
      std::fill(rounds_.begin(), rounds_.end(), 0);
      result_ = {};
      start_ = machine_.now();
      domain_.forget_stale_time();
      snapshot(-1);
      begin_dma();
    }
    return;
  }
  if (!over_ && ++result_.rounds == options_.rounds) {
    over_ = true;
    result_.elapsed = machine_.now() - start_;
    snapshot(1);
  }
}

void MapBench::begin_dma() {
  if (hardware_ == nullptr || hardware_params_->stream.pattern == smmu::StreamPattern::kNone) {
    return;
  }
  constexpr std::uint64_t kKiB = 1024;
  const smmu::DmaStreamParams& p = hardware_params_->stream;
  smmu::timed::StreamParams stream =
      p.footprint_kib != 0 ? smmu::stream_of(p, device_.stream_ids.front(),
                                             p.base_mib * kKiB * kKiB, p.footprint_kib * kKiB)
                           : smmu::stream_of(p, device_.stream_ids.front(), lowest_,
                                             whole_pages(Bytes{end_ - lowest_}).value());
  stream.atc_entries = p.ats ? p.atc_entries : 0;
  stream.seed = options_.seed;
  stream_ = hardware_->add_dma(stream);
}

lnx::LineStat difference(const lnx::LineStat& a, const lnx::LineStat& b) {
  return {a.reads - b.reads, a.writes - b.writes, a.misses - b.misses, a.missing - b.missing};
}

// What has been counted so far: kept at the start, taken off at the end.
void MapBench::snapshot(int sign) {
  MapBenchResult so_far;
  so_far.queue = smmu_.queue.stat();
  so_far.llq = smmu_.queue[0].llq_line();
  so_far.lock_and_owner = smmu_.queue[0].lock_line();
  so_far.valid_map = smmu_.queue[0].valid_line();
  so_far.tlbi =
      smmu_.queue.count(smmu::Command::kTlbiNhVa) + smmu_.queue.count(smmu::Command::kTlbiS2Ipa);
  if (sign < 0) {
    result_.queue = so_far.queue;
    result_.llq = so_far.llq;
    result_.lock_and_owner = so_far.lock_and_owner;
    result_.valid_map = so_far.valid_map;
    result_.tlbi = so_far.tlbi;
    return;
  }
  so_far.queue -= result_.queue;
  result_.queue = so_far.queue;
  result_.llq = difference(so_far.llq, result_.llq);
  result_.lock_and_owner = difference(so_far.lock_and_owner, result_.lock_and_owner);
  result_.valid_map = difference(so_far.valid_map, result_.valid_map);
  result_.tlbi = so_far.tlbi - result_.tlbi;
  result_.stale = domain_.stale_time();
  if (stream_) {
    hardware_->advance();
    const smmu::DmaWatch& dma = *hardware_->dma(*stream_);
    result_.dma = MapBenchDma{dma.stats(), dma.unmaps()};
  }
  result_.iova = domain_.iovas().stat();
  result_.flush_queue = domain_.flush_queue().stat();
}

}  // namespace

double MapBenchResult::rounds_per_cpu_second(std::uint32_t cpus) const {
  constexpr double kPsPerSecond = 1e12;
  return static_cast<double>(rounds) * kPsPerSecond / static_cast<double>(elapsed.count()) / cpus;
}

MapBenchResult run_map_bench(const lnx::LinuxParams& linux_kernel, const smmu::DriverParams& driver,
                             const DmaParams& dma, const lnx::Topology& topology,
                             const MapBenchOptions& options, const MapBenchHardware* hardware) {
  if (options.cpus == 0 || options.cpus > topology.size()) {
    throw ConfigError(fmt::format("map+unmap loop on {} CPUs: expected 1 to {}, the machine's",
                                  options.cpus, topology.size()));
  }
  if (options.rounds == 0 || options.size.value() == 0 || options.in_flight == 0) {
    throw ConfigError("map+unmap loop: rounds, size and buffers in flight must be above 0");
  }
  return MapBench(linux_kernel, driver, dma, topology, options, hardware).run();
}

}  // namespace smmulab::dma_iommu
