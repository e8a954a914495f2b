// SPDX-License-Identifier: Apache-2.0
#include "analysis/lock_sequences.hpp"

#include <vector>

namespace smmulab::analysis {
namespace {

struct Running {
  bool inside = false;
  std::string words;
};

void append_word(std::string& words, const RecordEvent& e, const Record& record,
                 const LockLetter& letter) {
  const std::string& name = record.name(record.lock_class(RecordLock{e.object}));
  char mode = letter(name);
  if (mode == 'R' && (e.flags & record_flag::kRead) == 0) {
    mode = 'W';
  }
  if (!words.empty()) {
    words += "; ";
  }
  words += e.kind == RecordKind::kLockRelease ? '-' : '+';
  words += mode;
  words += ' ';
  words += name;
}

}  // namespace

LockSequences lock_sequences(const Record& record, const LockLetter& letter) {
  LockSequences found;
  std::vector<Running> threads(record.thread_count());
  for (std::uint64_t i = 0; i < record.size(); ++i) {
    const RecordEvent& e = record[i];
    if (e.thread >= threads.size()) {
      continue;
    }
    Running& thread = threads[e.thread];
    switch (e.kind) {
      case RecordKind::kOpBegin:
        thread = {true, {}};
        break;
      case RecordKind::kOpEnd:
        if (thread.inside) {
          ++found[{record.name(RecordOp{e.object}), thread.words}];
        }
        thread.inside = false;
        break;
      case RecordKind::kLockRequest:
      case RecordKind::kLockRelease:
        if (thread.inside) {
          append_word(thread.words, e, record, letter);
        }
        break;
      default:
        break;
    }
  }
  return found;
}

}  // namespace smmulab::analysis
