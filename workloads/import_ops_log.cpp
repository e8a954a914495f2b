// SPDX-License-Identifier: Apache-2.0
#include "workloads/import_ops_log.hpp"

#include <algorithm>
#include <charconv>
#include <deque>
#include <filesystem>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/ops_log.hpp"
#include "workloads/ops_log_machine.hpp"
#include "workloads/trace_format.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::string_view kKind = "iofd-ops";
constexpr std::int16_t kTimedOut = -110;
constexpr std::int16_t kIoError = -5;

enum class Stage : std::uint8_t { kNone, kSetup, kRun, kTeardown };

std::string_view stage_name(Stage stage) {
  switch (stage) {
    case Stage::kSetup:
      return "setup";
    case Stage::kRun:
      return "run";
    default:
      return "teardown";
  }
}

// One log on its way into one trace.
class Conversion {
 public:
  Conversion(const OpsLog& log, const OpsLogMachine& machine, std::uint64_t origin_ns,
             TraceWriter& writer)
      : path_(&log.path()),
        machine_(&machine),
        origin_ns_(origin_ns),
        writer_(&writer),
        automatic_(log.header().shape == "auto") {}

  void take(const OpsLogRecord& record);
  // The end of the log: nothing may be left open.
  void finish();
  [[nodiscard]] std::uint64_t failed() const { return failed_; }

 private:
  struct Entry {
    Op op;
    Stage stage = Stage::kNone;  // begins before op
    bool open = false;           // op.pt (the ioas asked for) is not known yet
  };

  [[noreturn]] void fail(std::uint64_t line, const std::string& message) const {
    throw TraceError(*path_, line, 1, message);
  }
  [[nodiscard]] Stage next_stage(const OpsLogRecord& record);
  [[nodiscard]] Op base(const OpsLogRecord& record);
  void fill(const OpsLogRecord& record, Op& op);
  void fill_destroy(const OpsLogRecord& record, Op& op);
  void resolve(const OpsLogRecord& record);
  void drain();

  const std::string* path_;
  const OpsLogMachine* machine_;
  std::uint64_t origin_ns_;
  TraceWriter* writer_;
  bool automatic_;  // attach and replace name an ioas
  Stage stage_ = Stage::kNone;
  std::map<std::uint32_t, OpKind> destroyer_;   // of live objects
  std::deque<Entry> waiting_;                   // behind the first open one
  std::uint64_t drained_ = 0;                   // entries gone from waiting_
  std::map<std::int32_t, std::uint64_t> open_;  // device -> number of its open entry
  std::uint64_t failed_ = 0;
};

void Conversion::take(const OpsLogRecord& record) {
  const Stage stage = next_stage(record);
  resolve(record);
  Op op = base(record);
  fill(record, op);
  const bool open =
      automatic_ && !op.failed() && (op.kind == OpKind::kAttach || op.kind == OpKind::kReplace);
  if (open) {
    op.got = op.pt;
    open_[record.device] = drained_ + waiting_.size();
  }
  failed_ += op.failed() ? 1 : 0;
  waiting_.push_back({op, stage == stage_ ? Stage::kNone : stage, open});
  stage_ = stage;
  drain();
}

// The bench program's main works alone before it starts the workers and after it joined them.
Stage Conversion::next_stage(const OpsLogRecord& record) {
  if (record.thread != OpsLogRecord::kMain) {
    if (stage_ == Stage::kTeardown) {
      fail(record.line, fmt::format("thread {} works after main began to clean up", record.thread));
    }
    return Stage::kRun;
  }
  return stage_ == Stage::kRun || stage_ == Stage::kTeardown ? Stage::kTeardown : Stage::kSetup;
}

Op Conversion::base(const OpsLogRecord& record) {
  Op op;
  op.line = record.line;
  op.issue = SimTime{Ps{static_cast<std::int64_t>(record.start_ns - origin_ns_) * 1000}};
  op.duration = Ps{static_cast<std::int64_t>(record.end_ns - record.start_ns) * 1000};
  const std::optional<ThreadIndex> thread = machine_->thread(record.thread);
  if (!thread) {
    fail(record.line, fmt::format("thread {}: the header tells of no such thread", record.thread));
  }
  op.thread = *thread;
  std::int32_t ret = record.ret;
  if (record.op == LogOp::kDma && ret != 0 && ret != kTimedOut) {
    ret = kIoError;  // the log has the NVMe status
  }
  if (ret < -4095) {
    fail(record.line, fmt::format("ret: {} is out of range (0 or -errno)", ret));
  }
  op.ret = static_cast<std::int16_t>(ret);
  if (record.device >= 0) {
    op.device = DeviceIndex{static_cast<std::uint32_t>(record.device)};
  }
  return op;
}

void Conversion::fill(const OpsLogRecord& record, Op& op) {
  const ObjectId pt{record.pt};
  switch (record.op) {
    case LogOp::kBind:
      op.kind = OpKind::kBind;
      break;
    case LogOp::kIoasAlloc:
      op.kind = OpKind::kIoasAlloc;
      op.object = pt;
      destroyer_[record.pt] = OpKind::kIoasDestroy;
      break;
    case LogOp::kHwptAlloc:
      op.kind = OpKind::kHwptAlloc;
      op.object = pt;
      op.pt = ObjectId{record.old};
      destroyer_[record.pt] = OpKind::kHwptDestroy;
      break;
    case LogOp::kDestroy:
      fill_destroy(record, op);
      break;
    case LogOp::kAttach:
    case LogOp::kReplace:
      op.kind = record.op == LogOp::kAttach ? OpKind::kAttach : OpKind::kReplace;
      op.pt = pt;
      op.old = ObjectId{record.old};
      break;
    case LogOp::kDetach:
      op.kind = OpKind::kDetach;
      op.old = ObjectId{record.old};
      break;
    case LogOp::kMap:
    case LogOp::kUnmap:
      op.kind = record.op == LogOp::kMap ? OpKind::kMap : OpKind::kUnmap;
      op.object = pt;
      break;
    case LogOp::kDma:
      op.kind = OpKind::kDma;
      break;
  }
  op.iova = Iova{record.iova};
  op.length = Bytes{record.length};
}

void Conversion::fill_destroy(const OpsLogRecord& record, Op& op) {
  const auto it = destroyer_.find(record.pt);
  if (it == destroyer_.end()) {
    fail(record.line, fmt::format("destroy of object {}, which the log did not make", record.pt));
  }
  op.kind = it->second;
  op.object = ObjectId{record.pt};
  if (!op.failed()) {
    destroyer_.erase(it);
  }
}

// A device's operation tells, as old_pt_id, the ioas that its attach or replace before it asked
// for.
void Conversion::resolve(const OpsLogRecord& record) {
  const bool tells =
      record.op == LogOp::kAttach || record.op == LogOp::kReplace || record.op == LogOp::kDetach;
  const auto it = tells ? open_.find(record.device) : open_.end();
  if (it == open_.end()) {
    return;
  }
  Entry& entry = waiting_.at(it->second - drained_);
  if (record.old == 0) {
    fail(record.line,
         fmt::format("old_pt_id is 0, but line {} attached the device", entry.op.line));
  }
  entry.op.pt = ObjectId{record.old};
  entry.open = false;
  open_.erase(it);
}

void Conversion::drain() {
  while (!waiting_.empty() && !waiting_.front().open) {
    const Entry& entry = waiting_.front();
    if (entry.stage != Stage::kNone) {
      writer_->phase(stage_name(entry.stage));
    }
    writer_->write(entry.op);
    waiting_.pop_front();
    ++drained_;
  }
}

void Conversion::finish() {
  if (!waiting_.empty()) {
    fail(waiting_.front().op.line,
         "the log ends before it tells which ioas this attach asked for (truncated?)");
  }
}

using ImportProgress = std::function<bool(std::uint64_t)>;

// Asks now and then, by the records `read` so far, whether to go on.
void look(const ImportProgress& progress, std::uint64_t read, std::uint64_t converted) {
  constexpr std::uint64_t kLookEvery = 4096;
  if (read % kLookEvery == 0 && progress && !progress(converted)) {
    throw Interrupted("interrupted");
  }
}

struct FirstPass {
  std::uint64_t origin_ns = 0;
  std::uint32_t cpus_seen = 0;
};

FirstPass first_pass(const std::string& path, const ImportProgress& progress) {
  OpsLog log(path);
  FirstPass result;
  OpsLogRecord record;
  std::uint64_t read = 0;
  while (log.next(record)) {
    result.origin_ns = read == 0 ? record.start_ns : result.origin_ns;
    result.cpus_seen = std::max(result.cpus_seen, record.cpu + 1);
    look(progress, ++read, 0);
  }
  return result;
}

}  // namespace

std::string detect_log_kind(const std::string& path) {
  LineReader lines(path);
  std::string_view line;
  std::string found = "an empty file";
  if (lines.next(line)) {
    if (line.starts_with(fmt::format("# {} ", kOpsLogProgram))) {
      return std::string(kKind);
    }
    found = line.starts_with("smmulab-trace") ? "already a trace" : "an unknown kind of log";
  }
  throw TraceError(path, 1, 1,
                   fmt::format("{}; known kinds of log: {} (its first line begins '# {} '), "
                               "qemu-smmu (lines like 'PID@TIME:smmuv3_translate_success ...')",
                               found, kKind, kOpsLogProgram));
}

ImportSummary import_ops_log(const std::string& log_path, const std::string& trace_path,
                             const ImportOptions& options) {
  const FirstPass seen = first_pass(log_path, options.progress);
  OpsLog log(log_path);
  const OpsLogMachine machine(log.header(), choose_cpus(options.cpus, seen.cpus_seen, log_path));
  ImportSummary summary;
  summary.kind = kKind;
  summary.source_hash = trace_hash(log_path);
  TraceHeader header = machine.trace_header(log_path);
  const std::string name = std::filesystem::path(log_path).filename().string();
  header.meta.push_back({"kind", summary.kind});
  header.meta.push_back({"source", options.source.empty() ? name : options.source});
  header.meta.push_back({"source_xxh3_128", summary.source_hash});
  if (!options.kernel.empty()) {
    header.meta.push_back({"kernel", options.kernel});
  }
  header.meta.push_back({"program", log.header().program});
  header.meta.push_back({"time_origin_ns", fmt::format("{}", seen.origin_ns)});

  TraceWriter writer(trace_path, std::move(header), {options.zstd_level, log_path});
  Conversion conversion(log, machine, seen.origin_ns, writer);
  OpsLogRecord record;
  std::uint64_t read = 0;
  while (log.next(record)) {
    conversion.take(record);
    ++read;
    look(options.progress, read, read);
  }
  conversion.finish();
  summary.operations = writer.finish();
  summary.failed = conversion.failed();
  summary.devices = static_cast<std::uint32_t>(writer.header().devices.size());
  summary.threads = static_cast<std::uint32_t>(writer.header().threads.size());
  summary.cpus = static_cast<std::uint32_t>(writer.header().cpus.size());
  return summary;
}

}  // namespace smmulab::workloads
