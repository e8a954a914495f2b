// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/timed_smmu.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace smmulab::smmu::timed {
namespace {

const TimedParams& checked(const TimedParams& params) {
  check(params);
  return params;
}

}  // namespace

TimedSmmu::TimedSmmu(const TimedParams& params, const hw::Features& features,
                     const hw::StreamTableBase& streams, hw::Memory& memory, bool run_ahead)
    : params_(checked(params)),
      timers_(run_ahead),
      port_(params.memory),
      tcu_(timers_, params_, features, streams, memory, port_),
      commands_(timers_, params_, memory, port_, tcu_),
      features_(features),
      streams_base_(streams),
      memory_(memory) {
  for (std::uint32_t i = 0; i < params_.tbus; ++i) {
    Tbu& tbu = tbus_.emplace_back(timers_, params_.tbu, params_.link.dti, i, tcu_, commands_);
    tcu_.connect(tbu);
    commands_.connect(tbu);
  }
  if (params_.pmu.filter_enable) {
    const PmuFilter filter{StreamId{params_.pmu.filter_stream_id}, params_.pmu.filter_span};
    tcu_.set_pmu_filter(filter);
    std::ranges::for_each(tbus_, [&filter](Tbu& tbu) { tbu.set_pmu_filter(filter); });
  }
}

FaultUnit& TimedSmmu::enable_faults(const FaultSetup& setup) {
  SMMULAB_CHECK(!faults_, "faults are enabled already");
  faults_.emplace(timers_, params_, memory_, port_, features_, streams_base_, setup, tcu_);
  tcu_.set_faults(*faults_);
  commands_.set_faults(*faults_);
  for (Tbu& tbu : tbus_) {
    tbu.send_faults_to_tcu();
  }
  return *faults_;
}

void TimedSmmu::write_gerrorn(std::uint32_t value) {
  faults_->write_gerrorn(value);
  if (commands_.error() != CommandError::kNone &&
      !faults_->errors().active(hw::GlobalError::kCmdq)) {
    commands_.acknowledge_error();
  }
}

DmaStream& TimedSmmu::add_stream(const StreamParams& params, std::uint32_t tbu) {
  AtsPort* ats = nullptr;
  if (params.atc_entries != 0) {
    const AtsParams of_port{params.stream, params.outstanding, params.atc_entries,
                            params.page_requests};
    ats = &ats_ports_.emplace_back(timers_, of_port, tbus_.at(tbu), commands_,
                                   faults_ ? &*faults_ : nullptr);
    if (faults_ && params.page_requests != 0) {
      faults_->add_device(params.stream, *ats);
    }
  }
  return streams_.emplace_back(timers_, params, tbus_.at(tbu), port_, ats);
}

std::vector<PmuRow> TimedSmmu::pmu() const {
  std::vector<PmuRow> rows;
  add_pmu_rows(rows, "tcu", tcu_.counters(), tcu_.filtered(), tcu_.walk_caches(), params_.tbu.cycle,
               timers_.now());
  for (std::size_t i = 0; i < tbus_.size(); ++i) {
    add_pmu_rows(rows, fmt::format("tbu{}", i), tbus_[i].counters(), tbus_[i].filtered(),
                 params_.tbu.cycle, timers_.now());
  }
  return rows;
}

}  // namespace smmulab::smmu::timed
