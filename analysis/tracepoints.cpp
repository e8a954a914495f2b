// SPDX-License-Identifier: Apache-2.0
#include "analysis/tracepoints.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace smmulab::analysis {
namespace {

class Reader {
 public:
  Reader(const Record& record, const LockLetter& letter)
      : record_(record),
        open_(record.lock_count()),
        requests_(record.thread_count()),
        rows_(record.lock_class_count()) {
    for (std::uint32_t c = 0; c < record.lock_class_count(); ++c) {
      letters_.push_back(letter(record.name(RecordLockClass{c})));
    }
  }

  void take(const RecordEvent& e) {
    if (e.kind == RecordKind::kLockRequest) {
      std::optional<Request>& mine = requests_[e.thread];
      if (mine) {
        --open_[mine->lock];  // a trylock that failed
      }
      mine = Request{e.object, e.time, open_[e.object] > 0};
      ++open_[e.object];
    } else if (e.kind == RecordKind::kLockAcquire) {
      const std::optional<Request> mine = std::exchange(requests_[e.thread], std::nullopt);
      if (mine) {
        --open_[mine->lock];
        if (mine->lock == e.object && (e.flags & record_flag::kContended) != 0) {
          add(*mine, e);
        }
      }
    }
  }

  std::vector<TracepointRow> rows() {
    std::vector<TracepointRow> found;
    for (std::array<TracepointRow, 2>& modes : rows_) {
      for (TracepointRow& row : modes) {
        if (row.contentions != 0) {
          found.push_back(std::move(row));
        }
      }
    }
    const auto order = [](const TracepointRow& r) {
      return std::tuple(-(r.wait - r.seen_wait).count(), std::tie(r.lock_class, r.read));
    };
    std::sort(found.begin(), found.end(),
              [&order](const auto& a, const auto& b) { return order(a) < order(b); });
    return found;
  }

 private:
  struct Request {
    std::uint32_t lock;
    SimTime time;
    bool behind_another;
  };

  void add(const Request& request, const RecordEvent& e) {
    const RecordLockClass of = record_.lock_class(RecordLock{e.object});
    const bool read = (e.flags & record_flag::kRead) != 0;
    TracepointRow& row = rows_[of.value()].at(read ? 1 : 0);
    row.lock_class = record_.name(of);
    row.read = read;
    const Ps wait = e.time - request.time;
    ++row.contentions;
    row.wait += wait;
    Ps seen_wait = wait;
    bool seen = true;
    if (letters_[of.value()] == 'R') {
      seen = (e.flags & record_flag::kSlept) != 0;
      seen_wait -= Ps{static_cast<std::int64_t>(e.arg)};
    } else if (letters_[of.value()] == 'S') {
      seen = request.behind_another;
    }
    if (seen) {
      ++row.seen;
      row.seen_wait += seen_wait;
    }
  }

  const Record& record_;
  std::vector<std::uint32_t> open_;                 // requests, by lock
  std::vector<std::optional<Request>> requests_;    // by thread
  std::vector<std::array<TracepointRow, 2>> rows_;  // by class
  std::vector<char> letters_;
};

}  // namespace

std::vector<TracepointRow> tracepoints(const Record& record, const LockLetter& letter) {
  Reader reader(record, letter);
  for (const RecordEvent& e : record) {
    reader.take(e);
  }
  return reader.rows();
}

std::string to_json(const std::vector<TracepointRow>& rows) {
  nlohmann::json all = nlohmann::json::array();
  for (const TracepointRow& r : rows) {
    all.push_back({{"class", r.lock_class},
                   {"mode", r.read ? "read" : "write"},
                   {"contended", r.contentions},
                   {"wait_total_ps", r.wait.count()},
                   {"seen", r.seen},
                   {"seen_wait_ps", r.seen_wait.count()}});
  }
  return all.dump();
}

}  // namespace smmulab::analysis
