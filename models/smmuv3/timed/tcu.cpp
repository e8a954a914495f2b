// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/tcu.hpp"

#include <algorithm>

#include "models/smmuv3/hw/translator.hpp"

namespace smmulab::smmu::timed {

Tcu::Tcu(Timers& timers, const TimedParams& params, const hw::Features& features,
         const hw::StreamTableBase& streams, hw::Memory& memory, MemoryPort& port)
    : timers_(timers),
      params_(params),
      features_(features),
      streams_(streams),
      memory_(memory),
      port_(port),
      config_(params.tcu.config),
      walk_(params.tcu.walk_caches.value_or(
          hw::WalkCaches::Shape::all_alike(params.tcu.walk, params.tcu.walk_unified))),
      xlates_(params.tcu.xlate_slots),
      fetches_(params.tcu.xlate_slots),
      walks_(params.tcu.xlate_slots),
      buffer_(std::size_t{params.tbus} * params.tbu.tokens),
      for_ptw_(params.tcu.xlate_slots),
      for_ctw_(params.tcu.xlate_slots),
      ptw_free_(params.tcu.ptw_slots),
      ctw_free_(params.tcu.ctw_slots),
      has_walk_cache_(params.tcu.walk_caches
                          ? std::ranges::any_of(params.tcu.walk_caches->caches,
                                                [](const auto& c) { return c.entries != 0; })
                          : params.tcu.walk.entries != 0) {
  free_.reserve(xlates_.size());
  for (auto i = static_cast<std::uint32_t>(xlates_.size()); i-- > 0;) {
    free_.push_back(i);
  }
}

void Tcu::fire(std::uint32_t what, std::uint32_t index) {
  switch (what) {
    case kTcuRequest:
      counters_.add(&TcuCounters::transaction,
                    tbus_[index >> 16U]->request_of(index & 0xFFFFU).stream);
      if (free_.empty()) {
        ++counters_.all.buffered_translation;
        buffer_.push(index);
      } else {
        const std::uint32_t i = free_.back();
        free_.pop_back();
        start(i, index);
      }
      return;
    case kConfigLookup:
      config_lookup(index);
      return;
    case kIssue:
      issue(index);
      return;
    case kReadDone:
      read_done(index);
      return;
    case kRetryStalled:
      if (xlates_[index].at == At::kStalled) {
        retry(index);
      }
      return;
    case kRecordTaken:
      answer(index);
      release(index);
      return;
    case kStallTaken:
      stall(index);
      return;
    default:
      SMMULAB_CHECK(false, "the TCU was sent an unknown message");
  }
}

void Tcu::start(std::uint32_t i, std::uint32_t message) {
  Xlate& x = xlates_[i];
  x.at = At::kLookup;
  x.tbu = message >> 16U;
  x.slot = message & 0xFFFFU;
  x.request = tbus_[x.tbu]->request_of(x.slot);
  x.next = kNone;
  x.has_slot = x.read_tables = x.read_config = x.stale = x.stale_config = x.aborted = false;
  x.prefetching = false;
  x.ban = Ban{};
  x.memo.begin(walk_, x.ban);
  if (x.request.kind == hw::RequestKind::kAtsTranslation) {
    counters_.add(&TcuCounters::pcie_ats_trans_rq, x.request.stream);
  }
  timers_.after(params_.tcu.config_lookup, *this, kConfigLookup, i);
}

hw::WalkMemo* Tcu::memo_of(Xlate& x) {
  return has_walk_cache_ ? &x.memo : nullptr;
}

// What the fetch or the walk wants next, once the walk caches have been asked.
void Tcu::advance(std::uint32_t i) {
  Xlate& x = xlates_[i];
  x.step = x.at == At::kConfig ? fetches_[i].next() : x.walk.next();
  const std::uint32_t finds = x.memo.take_finds();
  counters_.all.walk_cache_read += finds;
  if (finds != 0) {
    if (x.step.kind == hw::Step::Kind::kRead) {
      memory_.prefetch(x.step.address);
    }
    timers_.after(params_.tcu.walk_lookup * finds, *this, kIssue, i);
  } else {
    issue(i);
  }
}

void Tcu::issue(std::uint32_t i) {
  Xlate& x = xlates_[i];
  const bool ends = x.step.kind == hw::Step::Kind::kDone || x.step.kind == hw::Step::Kind::kFault;
  if (ends && x.at == At::kConfig) {
    on_config_end(i, x.step.kind == hw::Step::Kind::kFault);
    return;
  }
  if (ends) {
    finish(i);
    return;
  }
  if (!x.has_slot) {
    std::uint32_t& free = x.at == At::kConfig ? ctw_free_ : ptw_free_;
    if (free == 0) {
      (x.at == At::kConfig ? for_ctw_ : for_ptw_).push(i);
      return;
    }
    --free;
    x.has_slot = true;
  }
  take_turn(i);
}

void Tcu::read_began() {
  ++counters_.all.reads_now;
  counters_.all.reads_max = std::max(counters_.all.reads_max, counters_.all.reads_now);
}

void Tcu::take_turn(std::uint32_t i) {
  Xlate& x = xlates_[i];
  const bool table = x.step.what == hw::Step::What::kDescriptor;
  counters_.add(table ? &TcuCounters::trans_table_walk_access : &TcuCounters::config_struct_access,
                x.request.stream);
  x.read_tables = x.read_tables || table;
  if (!table && !x.read_config) {
    x.read_config = true;
    if (!x.prefetching) {
      counters_.add(&TcuCounters::config_cache_miss, x.request.stream);
    }
  }
  x.aborted = false;
  if (x.step.kind == hw::Step::Kind::kRead) {
    for (std::uint8_t w = 0; w < x.step.words && !x.aborted; ++w) {
      const auto word = memory_.read64(x.step.address + 8ULL * w);
      x.aborted = !word;
      x.words[w] = word.value_or(0);
    }
  }
  if (x.at == At::kWalk) {
    if (const auto next = x.walk.likely_next(x.words[0])) {
      memory_.prefetch(*next);
    }
  }
  read_began();
  timers_.at(port_.access(timers_.now()), *this, kReadDone, i);
}

void Tcu::read_done(std::uint32_t i) {
  Xlate& x = xlates_[i];
  read_ended();
  const auto go_on = [&x, this](auto& machine) {
    if (x.step.kind == hw::Step::Kind::kUpdate) {
      machine.updated(memory_.compare_exchange64(x.step.address, x.step.expected, x.step.desired));
    } else if (x.aborted) {
      machine.abort();
    } else {
      machine.supply(x.words);
    }
  };
  if (x.at == At::kConfig) {
    go_on(fetches_[i]);
  } else {
    go_on(x.walk);
  }
  advance(i);
}

// Gives back the PTW or CTW slot: to the first that waits for one.
void Tcu::give_turn(Xlate& x) {
  if (!x.has_slot) {
    return;
  }
  x.has_slot = false;
  const bool config = x.at == At::kConfig;
  IndexQueue& waiting = config ? for_ctw_ : for_ptw_;
  if (waiting.empty()) {
    ++(config ? ctw_free_ : ptw_free_);
    return;
  }
  const std::uint32_t next = waiting.pop();
  xlates_[next].has_slot = true;
  if (config && config_is_there(next)) {
    return;
  }
  take_turn(next);
}

void Tcu::set_verdict(Xlate& x, Verdict verdict, hw::Event event) {
  x.verdict = verdict;
  x.fault = event;
}

std::uint32_t Tcu::equal_walk(const Xlate& x) const {
  const bool by_ipa = hw::is_answered_by_ipa(x.config, x.request.kind);
  return walks_.find(x.request.address, [&](std::uint32_t i) {
    const Xlate& other = xlates_[i];
    return !other.stale && other.tag == x.tag && other.config.s1 == x.config.s1 &&
           hw::is_answered_by_ipa(other.config, other.request.kind) == by_ipa &&
           other.request.access.write == x.request.access.write;
  });
}

void Tcu::begin_walk(std::uint32_t i, const hw::StreamConfig& config) {
  Xlate& x = xlates_[i];
  if (x.prefetching) {
    x.walk.begin(config, x.request.address, x.request.access, memo_of(x));
    advance(i);
    return;
  }
  if (const std::uint32_t leader = equal_walk(x); leader != kNone) {
    ++counters_.all.merged;
    x.at = At::kMerged;
    x.next = xlates_[leader].next;
    xlates_[leader].next = i;
    return;
  }
  walks_.insert(i, x.request.address);
  x.walk.begin(config, x.request.address, x.request.access, memo_of(x));
  advance(i);
}

void Tcu::finish(std::uint32_t i) {
  Xlate& x = xlates_[i];
  give_turn(x);
  if (x.prefetching) {
    walk_ahead(i);
    return;
  }
  walks_.erase(i);
  if (x.read_tables) {
    counters_.add(&TcuCounters::tlb_miss, x.request.stream);
  }
  const bool fault = x.step.kind == hw::Step::Kind::kFault;
  const bool stalls = fault && tell(i, x.walk.fault(), x.config);
  if (fault) {
    set_verdict(x, Verdict::kFault, x.walk.fault().event);
  } else {
    set_verdict(x, Verdict::kTranslated);
    x.translation = x.walk.translation();
    if (hw::is_answered_by_ipa(x.config, x.request.kind)) {
      x.translation.output = x.walk.intermediate();
    }
  }
  if (!stalls) {
    answer(i);
  }
  for (std::uint32_t next = x.next; next != kNone;) {
    const std::uint32_t other = next;
    Xlate& o = xlates_[other];
    next = o.next;
    if (fault || !x.translation.perms.allow(hw::effective_access(o.config, o.request.access))) {
      o.at = At::kWalk;  // it may have been the access: on its own
      o.next = kNone;
      begin_walk(other, o.config);
      continue;
    }
    o.verdict = Verdict::kTranslated;
    o.fault = hw::Event::kNone;
    o.translation = x.translation;
    o.translation.output += o.request.address - x.request.address;
    if (x.stale && !o.stale) {
      mark(o);
      o.ban.all = true;
    }
    answer(other);
    release(other);
  }
  if (!fault && prepare_prefetch(x)) {
    x.prefetching = true;
    x.more = 2;  // the one that is translated is the first
    walk_ahead(i);
  } else if (!stalls) {
    release(i);
  }
}

// Puts the answer where the TBU finds it and sends the message.
void Tcu::answer(std::uint32_t i) {
  Xlate& x = xlates_[i];
  if (x.prefetching) {
    return;
  }
  Answer& a = tbus_[x.tbu]->answer_of(x.slot);
  a.verdict = x.verdict;
  a.fault = x.fault;
  a.translation = x.translation;
  const bool known = a.verdict != Verdict::kFault || x.at == At::kWalk || x.at == At::kMerged;
  if (known) {
    a.config = x.config;
  }
  // A translated transaction of split-stage ATS has one without stage 1: with_config().
  const bool whole =
      x.request.kind != hw::RequestKind::kTranslated || x.config.eats == hw::StreamConfig::kFullAts;
  a.fill_config = known && whole && !x.stale_config;
  a.fill = a.verdict == Verdict::kTranslated && !x.stale_config &&
           !x.ban.covers(hw::canonical_input(x.config, x.request.address), a.translation.span_log2,
                         a.translation.global);
  a.stale = x.stale;
  timers_.after(params_.link.dti, *tbus_[x.tbu], kTbuResponse, x.slot);
}

void Tcu::release(std::uint32_t i) {
  Xlate& x = xlates_[i];
  x.at = At::kFree;
  unmark(x);
  if (buffer_.empty()) {
    free_.push_back(i);
  } else {
    start(i, buffer_.pop());
  }
}

}  // namespace smmulab::smmu::timed
