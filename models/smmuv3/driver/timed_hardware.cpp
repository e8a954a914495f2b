// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/timed_hardware.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "models/smmuv3/driver/page_leaves.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t kFirstFrame = 0x1000'0000;  // where the structures lie
constexpr unsigned kCommandLog2 = 4;
constexpr unsigned kAddressBits = 48;
constexpr unsigned kLeastOas = 42;

hw::StreamTable::Shape shape_of(const TimedHardwareParams& p) {
  hw::StreamTable::Shape shape;
  shape.log2_size = std::max(p.stream_bits, shape.split);
  return shape;
}

// The first span is the structures' own.
std::uint64_t domains_of(unsigned output_bits) {
  if (output_bits < kLeastOas) {
    throw ConfigError(fmt::format("smmuv3.hardware = timed needs smmuv3.oas of at least {}, not {}",
                                  kLeastOas, output_bits));
  }
  return (1ULL << (std::min(output_bits, kAddressBits) - 40U)) - 1;
}

}  // namespace

TimedHardware::TimedHardware(Engine& engine, const TimedHardwareParams& params, std::string name)
    : engine_(engine),
      name_(std::move(name)),
      features_(params.features),
      tbus_(params.smmu.tbus),
      domains_(domains_of(params.features.oas)),
      frames_(memory_, kFirstFrame),
      streams_(frames_, shape_of(params)),
      smmu_(params.smmu, params.features, streams_.base(), memory_, params.run_ahead),
      completion_(params.smmu.link.completion),
      queue_log2_(params.queue_log2) {
  smmu_.commands().set_range_invalidation(params.range_inv);
  smmu_.commands().set_listener(this);
  process_ = &engine_.spawn(run(), {.name = name_, .component = name_, .daemon = true});
}

timed::QueueNumber TimedHardware::add_queue(QueueListener& listener) {
  const timed::CommandProcessor::Queue queue{frames_.allocate(queue_log2_ + kCommandLog2),
                                             queue_log2_};
  queues_.push_back({&listener, {}});
  if (queues_.size() > 1) {
    return smmu_.commands().add_queue(queue);
  }
  smmu_.commands().set_queue(queue);
  return 0;
}

void TimedHardware::advance() {
  smmu_.timers().run_until(engine_.now());
}

// While a SYNC is in the queue somebody is to be told at its time; else nobody looks, but for event
// interrupts: one that is not on its way yet comes no sooner than `completion_` after the next
// timer.
SimTime TimedHardware::next_stop() {
  const SimTime next = smmu_.timers().next();
  if (syncs_ != 0 || next == kTimeMax) {
    return next;
  }
  if (faults_ == nullptr || !interrupt_->anyone_awake()) {
    return kTimeMax;
  }
  return std::min(faults_->interrupt_at(), next + completion_);
}

Task<void> TimedHardware::run() {
  for (;;) {
    armed_ = next_stop();
    co_await engine_.park_until(armed_, nullptr, Priority::kHardware);
    advance();
  }
}

void TimedHardware::rearm() {
  if (process_->parked() && next_stop() < armed_) {
    armed_ = engine_.now();
    engine_.unpark(*process_, Ps{0}, Priority::kHardware);
  }
}

void TimedHardware::write_entry(std::uint64_t address, const Entry& entry) {
  for (std::size_t i = 0; i < entry.size(); ++i) {
    memory_.write64(address + 8 * i, entry[i]);
  }
}

void TimedHardware::add_stream(StreamId stream, bool ats) {
  streams_.write(stream, hw::Ste{});
  if (ats) {
    ats_[stream.value()].enabled = true;
    smmu_.commands().add_atc(stream, *this);
  }
}

void TimedHardware::set_ats(StreamId stream, bool enabled) {
  advance();
  Ats& ats = ats_[stream.value()];
  if (ats.enabled != enabled && ats.port != nullptr) {
    ats.port->set_enabled(enabled);
  }
  ats.enabled = enabled;
}

void TimedHardware::connect_atc(StreamId stream, timed::AtsPort& port) {
  Ats& ats = ats_[stream.value()];
  if (ats.port == nullptr) {
    ats.port = &port;
    ++atcs_;
    port.set_enabled(ats.enabled);
  }
}

void TimedHardware::store_ste(StreamId stream, const Entry& ste) {
  advance();
  write_entry(streams_.address_of(stream), ste);
}

void TimedHardware::store_cd(std::uint64_t address, const Entry& cd) {
  advance();
  write_entry(address, cd);
}

std::uint64_t TimedHardware::new_cd_table(Ssids ssids) {
  return frames_.allocate(ssids.two_levels()
                              ? std::max(ssids.bits - Ssids::kLeafBits + 3, hw::kEntryLog2)
                              : hw::kEntryLog2);
}

void TimedHardware::store_cd_leaf(std::uint64_t table, std::uint32_t ssid) {
  advance();
  const std::uint64_t at = table + 8ULL * Ssids::leaf_of(ssid);
  if (!hw::decode_l1cd(memory_.peek64(at)).valid) {
    const hw::L1Cd l1{true, frames_.allocate(Ssids::kLeafBits + hw::kEntryLog2)};
    memory_.write64(at, encode(l1));
  }
}

std::uint64_t TimedHardware::cd_address(std::uint64_t table, std::uint32_t ssid) const {
  const hw::L1Cd l1 = hw::decode_l1cd(memory_.peek64(table + 8ULL * Ssids::leaf_of(ssid)));
  return l1.l2_ptr + ((ssid & ((1ULL << Ssids::kLeafBits) - 1)) << hw::kEntryLog2);
}

std::unique_ptr<hw::PageTable> TimedHardware::new_page_table(std::uint8_t stage) {
  hw::TableFormat format;
  format.stage = stage;
  format.input_bits = kAddressBits;
  format.output_bits = kAddressBits;
  return std::make_unique<hw::PageTable>(frames_, format);
}

hw::FrameAllocator::Held TimedHardware::map(hw::PageTable& table, std::uint32_t domain, Iova iova,
                                            Bytes size, Bytes run) {
  advance();
  const hw::Protection protection;
  frames_.hold();
  leaves::for_each(
      iova.value(), size.value(), run.value(),
      [&](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
        for (std::uint64_t t = at; leaf != leaves::kPage && t != at + leaf * count; t += leaf) {
          if (!table.output_of(t)) {
            table.unmap(t, leaf);
          }
        }
        const hw::MapError error =
            table.map_pages(at, domain_pa(domain, at),
                            static_cast<unsigned>(std::countr_zero(leaf)), count, protection);
        if (error == hw::MapError::kRange) {
          throw ConfigError(fmt::format(
              "IOVA {:#x} is beyond the {} bits of smmuv3.hardware = timed", at, kAddressBits));
        }
        SMMULAB_CHECK(error == hw::MapError::kNone, "what is mapped is mapped again");
      });
  hw::FrameAllocator::Held dropped = frames_.take_held();
  if (size.value() >= 2 * leaves::kPage) {
    for (auto& [number, params] : std::exchange(waiting_dmas_, {})) {
      params.base = iova.value();
      params.span = size.value();
      begin_dma(number, params);
    }
  }
  return dropped;
}

hw::FrameAllocator::Held TimedHardware::unmap(hw::PageTable& table, Iova iova, Bytes size) {
  advance();
  frames_.hold();
  leaves::for_each(iova.value(), size.value(), size.value(),
                   [&table](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
                     for (std::uint64_t i = 0; i < count; ++i) {
                       table.unmap(at + i * leaf, leaf);
                     }
                   });
  return frames_.take_held();
}

void TimedHardware::store_command(timed::QueueNumber queue, std::uint64_t slot,
                                  const CommandWords& words) {
  const std::uint64_t at = smmu_.commands().address_of(slot, queue);
  memory_.write64(at, words[0]);
  memory_.write64(at + 8, words[1]);
}

CommandWords TimedHardware::command(timed::QueueNumber queue, std::uint64_t slot) {
  const std::uint64_t at = smmu_.commands().address_of(slot, queue);
  return {memory_.peek64(at), memory_.peek64(at + 8)};
}

void TimedHardware::store_sync(timed::QueueNumber queue, std::uint64_t slot, SyncMode mode) {
  hw::Command sync;
  sync.opcode = hw::Opcode::kSync;
  sync.signal = mode == SyncMode::kMsi ? 1 : mode == SyncMode::kSev ? 2 : 0;
  store_command(queue, slot, encode(sync));
  queues_[queue].unpublished_syncs.push_back(slot);
}

void TimedHardware::ring(timed::QueueNumber queue, std::uint64_t prod) {
  advance();
  syncs_ += std::erase_if(queues_[queue].unpublished_syncs,
                          [prod](std::uint64_t slot) { return slot < prod; });
  smmu_.commands().write_prod(prod, queue);
  advance();  // hardware that takes no time is through with them before the store is over
  rearm();
}

void TimedHardware::consumed(timed::QueueNumber queue, std::uint64_t index,
                             const hw::Command& command) {
  syncs_ -= command.opcode == hw::Opcode::kSync ? 1U : 0U;
  queues_[queue].listener->consumed(index);
}

void TimedHardware::command_error(timed::QueueNumber queue, std::uint64_t index,
                                  timed::CommandError error) {
  throw ModelError(fmt::format("{}: command queue {}: error {} at entry {}", name_, queue,
                               static_cast<unsigned>(error), index));
}

std::optional<SimTime> TimedHardware::atc_invalidate(const hw::Command& command,
                                                     timed::AtcTicket ticket) {
  timed::AtsPort* const port = ats_[command.stream.value()].port;
  return port == nullptr ? time() : port->atc_invalidate(command, ticket);
}

void TimedHardware::enable_events(std::uint8_t log2_entries, EventInterrupt& interrupt) {
  advance();
  interrupt_ = &interrupt;
  timed::FaultSetup setup;
  const auto queue = [this](std::uint8_t entries_log2, unsigned entry_log2) {
    return hw::QueuePlace{frames_.allocate(std::max(entries_log2 + entry_log2, hw::kEntryLog2)),
                          entries_log2};
  };
  setup.events = queue(log2_entries, hw::EventQueue::kEntryLog2);
  setup.page_requests = queue(0, hw::PriQueue::kEntryLog2);  // nobody asks for pages
  faults_ = &smmu_.enable_faults(setup);
  faults_->set_listener(this);
}

std::uint32_t TimedHardware::read_event_prod() {
  advance();
  return faults_->events().queue().read_prod();
}

std::optional<hw::EventRecord> TimedHardware::read_event(std::uint32_t index) const {
  const std::uint64_t at = faults_->events().queue().address_of(index);
  hw::EventWords words{};
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = memory_.peek64(at + 8 * i);
  }
  return hw::decode_event(words);
}

void TimedHardware::write_event_cons(std::uint32_t cons) {
  advance();
  faults_->write_event_cons(cons);
  rearm();
}

void TimedHardware::event_settled(const hw::EventRecord& record, hw::EventQueue::Outcome outcome) {
  EventCounts& counts = events_[record.stream.value()];
  counts.recorded += outcome == hw::EventQueue::Outcome::kRecorded ? 1U : 0U;
  counts.lost += outcome == hw::EventQueue::Outcome::kDiscarded ? 1U : 0U;
}

EventCounts TimedHardware::events(StreamId stream) const {
  const auto found = events_.find(stream.value());
  return found == events_.end() ? EventCounts{} : found->second;
}

void TimedHardware::begin_dma(std::size_t number, timed::StreamParams params) {
  advance();
  params.start = std::max(params.start, engine_.now());
  timed::DmaStream& stream = smmu_.add_stream(params, static_cast<std::uint32_t>(number % tbus_));
  if (stream.ats() != nullptr) {
    connect_atc(params.stream, *stream.ats());
    for (const timed::RecordedAccess& access : params.recorded) {
      connect_atc(access.stream, *stream.ats());
    }
  }
  dmas_[number] = std::make_unique<DmaWatch>(stream);
  rearm();
}

std::size_t TimedHardware::add_dma(const timed::StreamParams& params) {
  dmas_.emplace_back();
  begin_dma(dmas_.size() - 1, params);
  return dmas_.size() - 1;
}

std::size_t TimedHardware::add_dma_at_first_map(const timed::StreamParams& params) {
  dmas_.emplace_back();
  waiting_dmas_.emplace_back(dmas_.size() - 1, params);
  return dmas_.size() - 1;
}

hw::Outcome TimedHardware::look_up(StreamId stream, Iova iova, bool write,
                                   std::optional<hw::Ssid> pasid) {
  hw::Request request;
  request.stream = stream;
  request.substream = pasid;
  request.address = iova.value();
  request.access.write = write;
  return hw::translate(memory_, streams_.base(), features_, request);
}

std::uint64_t TimedHardware::unmap_begins(std::uint32_t domain, Iova iova, Bytes size) {
  const std::uint64_t number = unmaps_++;
  for (const auto& dma : dmas_) {
    if (dma == nullptr) {
      continue;
    }
    dma->begin(number, iova.value(), iova.value() + size.value() - 1,
               domain_pa(domain, iova.value()), engine_.now());
  }
  return number;
}

void TimedHardware::unmap_ended(std::uint64_t number) {
  advance();
  for (const auto& dma : dmas_) {
    if (dma != nullptr) {
      dma->end(number);
    }
  }
}

void TimedHardware::unmap_queued(std::uint32_t domain, Iova iova, Bytes size) {
  const std::uint64_t number = unmap_begins(domain, iova, size);
  if (!dmas_.empty()) {
    queued_unmaps_.push_back({number, domain});
  }
}

void TimedHardware::flush_ended(std::uint32_t domain, std::uint64_t before) {
  std::erase_if(queued_unmaps_, [&](const QueuedUnmap& unmap) {
    const bool covered = unmap.domain == domain && unmap.number < before;
    if (covered) {
      unmap_ended(unmap.number);
    }
    return covered;
  });
}

}  // namespace smmulab::smmu
