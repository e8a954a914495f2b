// SPDX-License-Identifier: Apache-2.0
// The TCU's part before a walk: a request's configuration, from the config cache or by a fetch of
// STE and CD, and what of the request it leaves to be walked.
#include "models/smmuv3/hw/translator.hpp"
#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

void Tcu::config_lookup(std::uint32_t i) {
  Xlate& x = xlates_[i];
  ++counters_.all.config_lookup;
  ++counters_.all.config_read;
  if (const hw::StreamConfig* const known = config_.lookup(x.request.stream, x.request.substream)) {
    x.config = *known;
    with_config(i);
    return;
  }
  ++counters_.all.config_miss;
  x.at = At::kConfig;
  fetches_[i].begin(streams_, features_, x.request, memo_of(x));
  advance(i);
}

// Another has fetched the same configuration while this one waited for its turn.
bool Tcu::config_is_there(std::uint32_t i) {
  Xlate& x = xlates_[i];
  ++counters_.all.config_read;
  const hw::StreamConfig* const known = config_.lookup(x.request.stream, x.request.substream);
  if (known == nullptr) {
    return false;
  }
  x.config = *known;
  give_turn(x);
  with_config(i);
  return true;
}

void Tcu::on_config_end(std::uint32_t i, bool fault) {
  Xlate& x = xlates_[i];
  if (!fault) {
    x.config = fetches_[i].config();
    if (!x.stale_config) {
      config_.fill(x.request.stream, x.request.substream, x.config);
    }
  }
  give_turn(x);  // after the fill: the next may want the same
  if (!fault) {
    with_config(i);
    return;
  }
  set_verdict(x, Verdict::kFault, fetches_[i].fault().event);
  if (!tell(i, fetches_[i].fault(), fetches_[i].config())) {
    answer(i);
    release(i);
  }
}

void Tcu::with_config(std::uint32_t i) {
  Xlate& x = xlates_[i];
  x.at = At::kWalk;
  x.tag = hw::tag_of(x.config);
  using Kind = hw::StreamConfig::Kind;
  if (x.prefetching && x.more == 0) {
    release(i);
    return;
  }
  const hw::Event wrong = hw::check_request_kind(x.config, x.request.kind);
  const bool translated = x.request.kind == hw::RequestKind::kTranslated;
  if (x.config.kind == Kind::kAbort) {
    set_verdict(x, Verdict::kAbort);
  } else if (wrong != hw::Event::kNone) {
    set_verdict(x, Verdict::kFault, wrong);
    if (tell(i, {wrong, hw::FaultClass::kInput, false, 0, x.request.address}, x.config)) {
      return;
    }
  } else if (x.config.kind == Kind::kBypass ||
             (translated && x.config.eats != hw::StreamConfig::kSplitAts)) {
    set_verdict(x, Verdict::kBypass);
  } else {
    if (translated) {
      x.config.s1 = false;  // split-stage ATS: the address is an IPA
    }
    begin_walk(i, x.config);
    return;
  }
  answer(i);
  release(i);
}

}  // namespace smmulab::smmu::timed
