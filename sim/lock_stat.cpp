// SPDX-License-Identifier: Apache-2.0
#include "sim/lock_stat.hpp"

#include <algorithm>
#include <utility>

#include "sim/check.hpp"

namespace smmulab {
namespace {

constexpr const char* kNotEarlier =
    "lock statistics: the subtracted snapshot is not an earlier one";

void subtract(std::uint64_t& end, std::uint64_t begin) {
  SMMULAB_CHECK(begin <= end, kNotEarlier);
  end -= begin;
}

void subtract(Ps& end, Ps begin) {
  SMMULAB_CHECK(begin <= end, kNotEarlier);
  end -= begin;
}

}  // namespace

void LockTime::add(Ps time) {
  min = nr == 0 ? time : std::min(min, time);
  max = std::max(max, time);
  total += time;
  ++nr;
}

Ps LockTime::avg() const {
  return nr == 0 ? Ps{0} : Ps{total.count() / static_cast<std::int64_t>(nr)};
}

LockTime& LockTime::operator+=(const LockTime& other) {
  if (other.nr == 0) {
    return *this;
  }
  min = nr == 0 ? other.min : std::min(min, other.min);
  max = std::max(max, other.max);
  total += other.total;
  nr += other.nr;
  return *this;
}

LockTime& LockTime::operator-=(const LockTime& begin) {
  subtract(nr, begin.nr);
  subtract(total, begin.total);
  if (nr == 0) {
    *this = {};
  }
  return *this;
}

LockModeStat& LockModeStat::operator+=(const LockModeStat& other) {
  con_bounces += other.con_bounces;
  contentions += other.contentions;
  waittime += other.waittime;
  wait_spin += other.wait_spin;
  acq_bounces += other.acq_bounces;
  acquisitions += other.acquisitions;
  holdtime += other.holdtime;
  return *this;
}

LockModeStat& LockModeStat::operator-=(const LockModeStat& begin) {
  subtract(con_bounces, begin.con_bounces);
  subtract(contentions, begin.contentions);
  waittime -= begin.waittime;
  subtract(wait_spin, begin.wait_spin);
  subtract(acq_bounces, begin.acq_bounces);
  subtract(acquisitions, begin.acquisitions);
  holdtime -= begin.holdtime;
  return *this;
}

LockStat::LockStat(const LockStat& other)
    : modes_(other.modes_),
      waits_(other.waits_ ? std::make_unique<Histogram>(*other.waits_) : nullptr) {}

LockStat& LockStat::operator=(const LockStat& other) {
  LockStat copy(other);
  return *this = std::move(copy);
}

void LockStat::on_acquire(Ps wait_spin, Ps wait_sleep, bool contended, bool bounced,
                          LockMode mode) {
  const Ps wait = wait_spin + wait_sleep;
  SMMULAB_CHECK(wait_spin >= Ps{0} && wait_sleep >= Ps{0} && (contended || wait == Ps{0}),
                "lock statistics: a wait is negative, or longer than 0 without contention");
  LockModeStat& stat = at(mode);
  ++stat.acquisitions;
  stat.acq_bounces += bounced ? 1 : 0;
  if (!contended) {
    return;
  }
  ++stat.contentions;
  if (wait > Ps{0}) {
    stat.waittime.add(wait);
    stat.wait_spin += wait_spin;
  }
  if (waits_) {
    waits_->record(wait);
  }
}

void LockStat::on_release(Ps held, LockMode mode) {
  SMMULAB_CHECK(held >= Ps{0}, "lock statistics: negative hold time");
  at(mode).holdtime.add(held);
}

void LockStat::enable_wait_histogram() {
  if (!waits_) {
    waits_ = std::make_unique<Histogram>();
  }
}

LockStat& LockStat::operator+=(const LockStat& other) {
  modes_[0] += other.modes_[0];
  modes_[1] += other.modes_[1];
  if (other.waits_) {
    enable_wait_histogram();
    *waits_ += *other.waits_;
  }
  return *this;
}

LockStat& LockStat::operator-=(const LockStat& begin) {
  modes_[0] -= begin.modes_[0];
  modes_[1] -= begin.modes_[1];
  if (begin.waits_) {
    SMMULAB_CHECK(waits_ != nullptr, kNotEarlier);
    *waits_ -= *begin.waits_;
  }
  return *this;
}

bool operator==(const LockStat& a, const LockStat& b) {
  const bool same_waits = a.waits_ && b.waits_
                              ? *a.waits_ == *b.waits_
                              : static_cast<bool>(a.waits_) == static_cast<bool>(b.waits_);
  return same_waits && a.modes_ == b.modes_;
}

}  // namespace smmulab
