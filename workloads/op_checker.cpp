// SPDX-License-Identifier: Apache-2.0
#include "workloads/op_checker.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "models/iommufd/limits.hpp"
#include "workloads/lexer.hpp"

namespace smmulab::workloads {
namespace {

using iommufd::HwptFlag;
using iommufd::kMaxInvalidations;
using iommufd::kMaxPasid;
using iommufd::kPage;
constexpr KindMask kDevice = bit(ObjectKind::kDevice);
constexpr KindMask kIoas = bit(ObjectKind::kIoas);
constexpr KindMask kHwpt = bit(ObjectKind::kHwpt);
constexpr KindMask kAccess = bit(ObjectKind::kAccess);
constexpr KindMask kFault = bit(ObjectKind::kFault);

bool takes(const Op& op, Key key) {
  const OpSpec& spec = op_spec(op.kind);
  return ((spec.required | spec.optional) & bit(key)) != 0;
}

// The id that stands under a key.
ObjectId named(const Op& op, Key key) {
  if (key == Key::kFault && op.kind == OpKind::kHwptAlloc) {
    return op.got;
  }
  const bool other = key == Key::kPt || key == Key::kSrc ||
                     (key == Key::kIoas && op.kind == OpKind::kAccessAttach);
  return other ? op.pt : op.object;
}

std::string nanoseconds(SimTime time) {
  std::string text;
  append_nanoseconds(text, time.time_since_epoch());
  return text + " ns";
}

}  // namespace

OpChecker::OpChecker(const TraceHeader& header)
    : devices_(header.devices.size()), last_of_thread_(header.threads.size()) {}

MaybeProblem OpChecker::check(const Op& op) {
  if (MaybeProblem bad = check_values(op)) {
    return bad;
  }
  if (MaybeProblem bad = check_time(op)) {
    return bad;
  }
  if (MaybeProblem bad = check_objects(op)) {
    return bad;
  }
  return check_areas(op);
}

MaybeProblem OpChecker::settle() {
  if (MaybeProblem bad = objects_.settle()) {
    return bad;
  }
  MaybeProblem first;
  for (auto& [id, ioas] : ioases_) {
    if (MaybeProblem bad = ioas.areas.settle(); bad && (!first || bad->line < first->line)) {
      first = std::move(bad);
    }
  }
  return first;
}

MaybeProblem OpChecker::check_values(const Op& op) const {
  if (op.thread.value() >= last_of_thread_.size()) {
    return OpProblem{op.line, fmt::format("thread {} is not declared", op.thread.value()),
                     OpProblem::At::kThread};
  }
  if (takes(op, Key::kDev) && op.device.value() >= devices_) {
    return problem_at(op.line, Key::kDev,
                      fmt::format("device {} is not declared", op.device.value()));
  }
  if (MaybeProblem bad = op.failed() ? std::nullopt : check_numbers(op)) {
    return bad;
  }
  if (op.kind == OpKind::kHwptAlloc && op.got != kNoObject &&
      (op.flags & HwptFlag::kFaultIdValid) == 0) {
    return problem_at(op.line, Key::kFault,
                      "fault: flags= does not have 0x4 (IOMMU_HWPT_FAULT_ID_VALID)");
  }
  return takes(op, Key::kLen) ? check_range(op) : std::nullopt;
}

// What a kernel would have refused.
MaybeProblem OpChecker::check_numbers(const Op& op) {
  if (takes(op, Key::kPasid) && (op.number == 0 || op.number > kMaxPasid)) {
    return problem_at(op.line, Key::kPasid,
                      fmt::format("pasid: {} is out of range (1 to {})", op.number, kMaxPasid));
  }
  if (takes(op, Key::kCount) && op.number > kMaxInvalidations) {
    return problem_at(
        op.line, Key::kCount,
        fmt::format("count: {} is out of range (at most {})", op.number, kMaxInvalidations));
  }
  const std::uint32_t flags = op_spec(op.kind).flags;
  if (takes(op, Key::kFlags) && (op.flags & ~flags) != 0) {
    return problem_at(op.line, Key::kFlags,
                      fmt::format("flags: {:#x} is out of range (0 to {:#x})", op.flags, flags));
  }
  return std::nullopt;
}

// Of iova=, len= and from=.
MaybeProblem OpChecker::check_range(const Op& op) {
  const std::uint64_t length = op.length.value();
  if (length == 0) {
    return problem_at(op.line, Key::kLen, "len: 0 is out of range (at least one byte)");
  }
  if (op.kind != OpKind::kDma && length % kPage != 0) {
    return problem_at(op.line, Key::kLen,
                      fmt::format("len: {} is not a multiple of the page size {}", length, kPage));
  }
  if (op.kind != OpKind::kDma && op.iova.value() % kPage != 0) {
    return problem_at(
        op.line, Key::kIova,
        fmt::format("iova: {:#x} is not a multiple of the page size {}", op.iova.value(), kPage));
  }
  const std::uint64_t highest = std::numeric_limits<std::uint64_t>::max() - (length - 1);
  if (op.iova.value() > highest) {
    return problem_at(op.line, Key::kIova, "iova + len is beyond 2^64");
  }
  if (takes(op, Key::kFrom) && (op.source.value() % kPage != 0 || op.source.value() > highest)) {
    return problem_at(op.line, Key::kFrom,
                      fmt::format("from: {:#x} is not a multiple of the page size {}, or from + "
                                  "len is beyond 2^64",
                                  op.source.value(), kPage));
  }
  return std::nullopt;
}

MaybeProblem OpChecker::check_time(const Op& op) {
  const auto max = Ps{kMaxTracePs};
  if (op.issue < kTimeZero || op.issue.time_since_epoch() > max || op.duration > max) {
    return OpProblem{op.line, "time is negative or out of range", OpProblem::At::kIssue};
  }
  if (op.issue < last_issue_) {
    return OpProblem{op.line,
                     fmt::format("issue time {} is before that of line {} ({}): operations are "
                                 "ordered by issue time",
                                 nanoseconds(op.issue), last_line_, nanoseconds(last_issue_)),
                     OpProblem::At::kIssue};
  }
  PastOp& previous = last_of_thread_[op.thread.value()];
  if (previous.timed && op.issue < previous.end) {
    return OpProblem{op.line,
                     fmt::format("thread {} begins this operation before its last one (line {}) "
                                 "ended at {}",
                                 op.thread.value(), previous.line, nanoseconds(previous.end)),
                     OpProblem::At::kIssue};
  }
  previous = PastOp(op);
  last_issue_ = op.issue;
  last_line_ = op.line;
  return std::nullopt;
}

// Ids that must not be 0: iommufd ids start at 1, and 0 stands for "absent".
MaybeProblem OpChecker::check_names(const Op& op) const {
  const KeyMask required = op_spec(op.kind).required;
  for (const Key key : {Key::kPt, Key::kSrc, Key::kHwpt, Key::kAccess, Key::kFault, Key::kIoas}) {
    if ((required & bit(key)) != 0 && named(op, key) == kNoObject) {
      return problem_at(op.line, key, fmt::format("{}: object ids start at 1", key_name(key)));
    }
  }
  return std::nullopt;
}

// The objects that an operation uses, in the order in which they are complained about.
MaybeProblem OpChecker::check_uses(const Op& op) {
  const auto use = [&](Key key, KindMask kinds) -> MaybeProblem {
    return takes(op, key) ? objects_.use(op, key, object_key(named(op, key)), kinds) : std::nullopt;
  };
  if (takes(op, Key::kDev)) {
    if (MaybeProblem bad = objects_.use(op, Key::kDev, object_key(op.device), kDevice)) {
      return bad;
    }
  }
  if (MaybeProblem bad = use(Key::kPt, kIoas | kHwpt)) {
    return bad;
  }
  if (MaybeProblem bad = use(Key::kHwpt, kHwpt)) {
    return bad;
  }
  if (MaybeProblem bad = use(Key::kAccess, kAccess)) {
    return bad;
  }
  if (MaybeProblem bad = use(Key::kSrc, kIoas)) {
    return bad;
  }
  return use(Key::kIoas, kIoas);
}

MaybeProblem OpChecker::check_objects(const Op& op) {
  if (MaybeProblem bad = check_names(op)) {
    return bad;
  }
  if (MaybeProblem bad = objects_.advance(op)) {
    return bad;
  }
  if (op.failed()) {
    return std::nullopt;
  }
  switch (op.kind) {
    case OpKind::kBind:
      return objects_.make(op, Key::kDev, object_key(op.device), ObjectKind::kDevice);
    case OpKind::kIoasAlloc:
      return check_ioas_alloc(op);
    case OpKind::kAccessCreate:
      return objects_.make(op, Key::kAccess, object_key(op.object), ObjectKind::kAccess);
    case OpKind::kFaultAlloc:
      return objects_.make(op, Key::kFault, object_key(op.object), ObjectKind::kFault);
    case OpKind::kUnbind:
    case OpKind::kIoasDestroy:
    case OpKind::kHwptDestroy:
    case OpKind::kAccessDestroy:
    case OpKind::kFaultDestroy:
      return check_destroy(op);
    case OpKind::kHwptAlloc:
      break;
    default:
      return check_uses(op);
  }
  if (MaybeProblem bad = objects_.use(op, Key::kDev, object_key(op.device), kDevice)) {
    return bad;
  }
  if (MaybeProblem bad = objects_.use(op, Key::kPt, object_key(op.pt), kIoas | kHwpt)) {
    return bad;
  }
  if (op.got != kNoObject) {
    if (MaybeProblem bad = objects_.use(op, Key::kFault, object_key(op.got), kFault)) {
      return bad;
    }
  }
  return objects_.make(op, Key::kHwpt, object_key(op.object), ObjectKind::kHwpt);
}

MaybeProblem OpChecker::check_ioas_alloc(const Op& op) {
  Ioas& ioas = ioases_[op.object];
  Ioas fresh{PastOp(op), {}};
  if (ioas.made.line != 0 && !ioas.made.done_before(op)) {
    fresh.made.merge(ioas.made);
  }
  ioas = std::move(fresh);
  return objects_.make(op, Key::kIoas, object_key(op.object), ObjectKind::kIoas);
}

MaybeProblem OpChecker::check_destroy(const Op& op) {
  auto fate = ObjectChecker::Fate::kDestroyed;
  if (op.kind == OpKind::kUnbind) {
    return objects_.destroy(op, Key::kDev, object_key(op.device), ObjectKind::kDevice, fate);
  }
  if (op.kind == OpKind::kFaultDestroy) {
    return objects_.destroy(op, Key::kFault, object_key(op.object), ObjectKind::kFault, fate);
  }
  if (op.kind == OpKind::kAccessDestroy) {
    return objects_.destroy(op, Key::kAccess, object_key(op.object), ObjectKind::kAccess, fate);
  }
  if (op.kind == OpKind::kHwptDestroy) {
    return objects_.destroy(op, Key::kHwpt, object_key(op.object), ObjectKind::kHwpt, fate);
  }
  MaybeProblem bad =
      objects_.destroy(op, Key::kIoas, object_key(op.object), ObjectKind::kIoas, fate);
  const auto it = ioases_.find(op.object);
  if (bad || it == ioases_.end()) {
    return bad;
  }
  if (fate == ObjectChecker::Fate::kReplaced) {
    it->second.areas.doubt_all();       // some may have been mapped in the one that is gone,
    it->second.made.merge(PastOp(op));  // and others may yet, while it goes
    return std::nullopt;
  }
  bad = it->second.areas.advance(op);
  ioases_.erase(it);  // suspects that are still running raced with the destruction
  return bad;
}

// The areas of an ioas, unless it may be another one of that id that `op` was on.
AreaChecker* OpChecker::areas_of(const Op& op, ObjectId id) {
  const auto it = ioases_.find(id);
  if (it == ioases_.end()) {
    return nullptr;
  }
  if (!it->second.made.done_before(op)) {
    it->second.areas.doubt(op);
    return nullptr;
  }
  return &it->second.areas;
}

MaybeProblem OpChecker::check_areas(const Op& op) {
  if (op.kind == OpKind::kCopy && !op.failed()) {
    const auto source = ioases_.find(op.pt);
    if (source != ioases_.end() && source->second.made.done_before(op)) {
      if (MaybeProblem bad = source->second.areas.copy_from(op)) {
        return bad;
      }
    }
  }
  switch (op.kind) {
    case OpKind::kMap:
    case OpKind::kCopy:
    case OpKind::kUnmap:
    case OpKind::kUnmapAll:
      break;
    default:
      return std::nullopt;
  }
  AreaChecker* areas = areas_of(op, op.object);
  if (areas == nullptr) {
    return std::nullopt;
  }
  switch (op.kind) {
    case OpKind::kUnmap:
      return areas->unmap(op);
    case OpKind::kUnmapAll:
      return areas->unmap_all(op);
    default:
      return areas->map(op);
  }
}

}  // namespace smmulab::workloads
