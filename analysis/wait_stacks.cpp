// SPDX-License-Identifier: Apache-2.0
#include "analysis/wait_stacks.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace smmulab::analysis {
namespace {

std::string frame_text(const Record& record, FrameKind kind, std::uint32_t id) {
  switch (kind) {
    case FrameKind::kThread:
      return record.name(RecordThread{id});
    case FrameKind::kOp:
      return id == kNoRecordId ? "(no operation)" : record.name(RecordOp{id});
    case FrameKind::kLock:
      return lock_name(record, id);
    case FrameKind::kObject:
      return record.name(RecordObject{id});
    case FrameKind::kHandedOver:
      return "(free, on its way)";
    case FrameKind::kOffCpu:
      return "(off CPU)";
    case FrameKind::kDeeper:
      break;
  }
  return "(deeper)";
}

}  // namespace

std::string lock_name(const Record& record, std::uint32_t lock) {
  const RecordLock id{lock};
  return fmt::format("{}#{}", record.name(record.lock_class(id)), record.name(id));
}

WaitStacks::Node WaitStacks::push(Node stack, FrameKind kind, std::uint32_t id) {
  const Key key{static_cast<std::uint64_t>(kind) << 32U | id, stack};
  const auto [it, fresh] = children_.try_emplace(key, static_cast<Node>(nodes_.size()));
  if (fresh) {
    nodes_.push_back({stack, kind, id, Ps{0}});
  }
  return it->second;
}

std::vector<std::string> WaitStacks::folded(const Record& record) const {
  std::vector<std::string> texts(nodes_.size());
  std::vector<std::string> lines;
  for (Node node = 1; node < nodes_.size(); ++node) {  // parents come first
    const Entry& entry = nodes_[node];
    std::string frame = frame_text(record, entry.kind, entry.id);
    std::replace(frame.begin(), frame.end(), ';', ',');
    texts[node] = entry.parent == kRoot ? frame : texts[entry.parent] + ';' + frame;
    const std::int64_t ns = entry.weight.count() / 1000;
    if (ns > 0) {
      lines.push_back(fmt::format("{} {}", texts[node], ns));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace smmulab::analysis
