// SPDX-License-Identifier: Apache-2.0
// A record as a trace for Perfetto (ui.perfetto.dev), streamed. Tracks:
//   threads         operations; in them waits for locks and objects; asleep, preempted
//   CPUs            which thread is on it
//   locks           who holds it, or how many readers; of locks that somebody waited for
//   command queues  commands issued and not yet known to be consumed: a counter, and "busy"; below
//                   a queue its commands, each from its issue to when a CPU knows it consumed, in
//                   as many tracks as need be; those of one opcode that a thread issues at one
//                   instant are one slice, "TLBI_NH_VA x32"
//   DMA             dark times of a device
// Flows: from a release to each acquisition that it let in, from a wake-up to when the woken runs.
// A wait that never ends (a deadlock) is open to the end of the trace.
// Not here: when the SMMU consumed a command (the record has when a CPU learns of it), locks that
// nobody waited for, time below a nanosecond.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>

#include "analysis/timelines.hpp"

namespace smmulab::analysis {

using CommandName = std::function<std::string(std::uint8_t opcode)>;

void write_perfetto(const Timelines& timelines, std::ostream& out, const CommandName& command_name);

}  // namespace smmulab::analysis
