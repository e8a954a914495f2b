// SPDX-License-Identifier: Apache-2.0
// Which locks each operation takes, in which order and nesting, read from a record: what lockdep's
// lock_acquire and lock_release events tell of a real kernel (oracle O4). A sequence is made of
// words:
// "+M x" and "-M x" a mutex asked for and released, "+S", "-S" a spinlock, "+R"/"+W" and "-R"/"-W"
// an rw_semaphore for reading or writing. The request is what counts: a thread takes nothing else
// while it waits.
// Not here: locks outside operations, and what the record leaves out (atomics, the command queue).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "sim/record.hpp"

namespace smmulab::analysis {

// 'M', 'S' or 'R' (an rw_semaphore) for a lock class's name.
using LockLetter = std::function<char(std::string_view lock_class)>;

// (operation, words joined by "; ") -> how many operations took exactly these. Operations that had
// not ended are left out.
using LockSequences = std::map<std::pair<std::string, std::string>, std::uint64_t>;

[[nodiscard]] LockSequences lock_sequences(const Record& record, const LockLetter& letter);

}  // namespace smmulab::analysis
