// SPDX-License-Identifier: Apache-2.0
// The whole of a QEMU log: check it, or turn it into a DMA trace.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "workloads/qemu_smmu/log_sink.hpp"
#include "workloads/qemu_smmu/report.hpp"

namespace smmulab::workloads::qemu {

// Called from time to time with the lines read; false stops (throws Interrupted).
using LogProgress = std::function<bool(std::uint64_t)>;

// Is there an event of QEMU's SMMU traces in this log? A console may write any number of lines
// before the first; reads on until there is one.
[[nodiscard]] bool looks_like_qemu_log(const std::string& path);

// `name` is what messages call it. Throws TraceError if it is no such log, if more than one event
// in a hundred is damaged (and more than ten are), or if it has stage 2.
[[nodiscard]] Report run_log(const std::string& path, const std::string& name,
                             LogSink* sink = nullptr, const LogProgress& progress = {});

// Report as JSON text.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace smmulab::workloads::qemu
