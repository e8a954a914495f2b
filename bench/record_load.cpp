// SPDX-License-Identifier: Apache-2.0
#include "bench/record_load.hpp"

#include <ostream>
#include <stdexcept>
#include <streambuf>

#include <sys/resource.h>

#include "analysis/blame.hpp"
#include "analysis/critical_path.hpp"
#include "analysis/lock_sequences.hpp"
#include "analysis/lockdep.hpp"
#include "analysis/perfetto_export.hpp"
#include "analysis/tracepoints.hpp"
#include "models/smmuv3/driver/opcode_name.hpp"

namespace smmulab::bench {
namespace {

// Counts what is written to it.
class CountingBuffer : public std::streambuf {
 public:
  [[nodiscard]] double count() const { return count_; }

 protected:
  int_type overflow(int_type c) override {
    ++count_;
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* /*text*/, std::streamsize n) override {
    count_ += static_cast<double>(n);
    return n;
  }

 private:
  double count_ = 0;
};

void expect(bool found) {
  if (!found) {
    throw std::runtime_error("an analysis found nothing in the generated record");
  }
}

char letter(std::string_view lock_class) {
  return lock_class.find("rwsem") != std::string_view::npos ? 'R' : 'M';
}

void analyse(const Record& record, const analysis::Timelines& timelines) {
  expect(!analysis::blame(timelines).rows.empty());
  expect(!analysis::critical_path(timelines).rows.empty());
  analysis::LockGraphBuilder builder;
  builder.add(record, {"generated", "", true});
  expect(!analysis::lockdep(builder.graph()).graph.edges.empty());
  expect(!analysis::lock_sequences(record, letter).empty());
  expect(!analysis::tracepoints(record, letter).empty());
}

}  // namespace

AnalysisSample run_analysis(const TempTrace& trace, std::uint64_t events) {
  Record record({events});
  (void)trace.replay(&record);
  const Meter meter;
  const analysis::Timelines timelines(record);
  analyse(record, timelines);
  const Meter writing;
  CountingBuffer buffer;
  std::ostream out(&buffer);
  analysis::write_perfetto(timelines, out, smmu::opcode_name);
  const Sample perfetto = writing.stop(record.size());
  const Sample all = meter.stop(record.size());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {static_cast<double>(record.size()),          all.wall_s,    all.cpu_s, perfetto.cpu_s,
          static_cast<double>(usage.ru_maxrss) * 1024, buffer.count()};
}

}  // namespace smmulab::bench
