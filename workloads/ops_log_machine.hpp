// SPDX-License-Identifier: Apache-2.0
// OpsLogMachine: the machine and threads behind a recorded operation log: what import_ops_log.hpp
// lists as derived.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "workloads/ops_log.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

class OpsLogMachine {
 public:
  // REQUIRES: log outlives this.
  OpsLogMachine(const OpsLogHeader& log, std::uint32_t cpus) : log_(&log), cpus_(cpus) {}

  // The trace's thread for the log's thread number; none if the header tells of no such thread.
  // Workers keep their order; main comes last.
  [[nodiscard]] std::optional<ThreadIndex> thread(std::int32_t log_thread) const;
  // Without meta lines. Throws TraceError for a PCI address that cannot be read.
  [[nodiscard]] TraceHeader trace_header(const std::string& log_path) const;

 private:
  // Threads that attach devices; in shape maponly main does that.
  [[nodiscard]] std::uint32_t device_threads() const;

  const OpsLogHeader* log_;
  std::uint32_t cpus_;
};

struct PciAddress {
  std::uint32_t domain = 0;
  std::uint32_t bus = 0;
  std::uint32_t device = 0;
  std::uint32_t function = 0;
  [[nodiscard]] StreamId requester_id() const {
    return StreamId{(bus << 8U) | (device << 3U) | function};
  }
};

// "0000:00:1f.7".
[[nodiscard]] std::optional<PciAddress> parse_pci_address(std::string_view text);

// `wanted`, or the greater of `seen` and the N of the last "smpN" in the path. Throws ConfigError
// if `wanted` is less than `seen`.
[[nodiscard]] std::uint32_t choose_cpus(std::optional<std::uint32_t> wanted, std::uint32_t seen,
                                        std::string_view log_path);

}  // namespace smmulab::workloads
