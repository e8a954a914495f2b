// SPDX-License-Identifier: Apache-2.0
// The trace format, version 1 (docs/trace-format.md): everything a user of traces needs.
#pragma once

#include <string>

#include "workloads/op.hpp"
#include "workloads/trace_header.hpp"
#include "workloads/trace_reader.hpp"
#include "workloads/trace_writer.hpp"

namespace smmulab::workloads {

// XXH3-128 of the uncompressed bytes, 32 hex digits: equal for FILE and its compressed FILE.zst.
// Works on any file. Throws ConfigError if it cannot be read, TraceError if it is corrupt.
[[nodiscard]] std::string trace_hash(const std::string& path);

}  // namespace smmulab::workloads
