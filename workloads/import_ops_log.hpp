// SPDX-License-Identifier: Apache-2.0
// Imports recorded logs as traces. Kind "iofd-ops": the logs of the recorder's bench program
// (ops_log.hpp), runs of Linux 6.6-6.12 with VFIO cdevs behind one SMMUv3.
// What the log does not say is derived: stream id = PCI requester id (bus << 8 | device << 3 |
// function); one VFIO device set for each root-bus device, else one for each bus (kernel
// vfio_pci_core.c); worker i pinned to CPU i modulo CPUs if the log says pin=1; main's operations
// before the workers, the workers', and main's after them become the phases setup, run, teardown.
// Not imported: the CPU of unpinned threads, NUMA (all CPUs are on one node), SMMU features, the
// reserved MSI windows, ids of automatic hwpts as objects (they are only named by got=).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace smmulab::workloads {

struct ImportOptions {
  // CPUs of the recorded machine. Default: as many as the log shows, and as "smpN" in the path
  // says.
  std::optional<std::uint32_t> cpus;
  std::string source;   // meta source; default: the name of the file, without its folder
  std::string kernel;   // meta kernel, if not empty
  int zstd_level = 19;  // if the trace's name ends in ".zst"
  // Optional; false ends the import (Interrupted). Operations converted: 0 in the first pass.
  std::function<bool(std::uint64_t converted)> progress;
};

struct ImportSummary {
  std::string kind;
  std::string source_hash;  // XXH3-128 of the log
  std::uint64_t operations = 0;
  std::uint64_t failed = 0;  // recorded with an error
  std::uint32_t devices = 0;
  std::uint32_t threads = 0;
  std::uint32_t cpus = 0;
};

// "iofd-ops", or a TraceError that lists the known kinds.
[[nodiscard]] std::string detect_log_kind(const std::string& path);

// Reads the log twice, in bounded memory (for automatic domains it looks ahead up to the device's
// next operation, which tells the ioas asked for). Throws TraceError with the log's line,
// ConfigError if a file cannot be read or written, Interrupted. Then no trace stays.
ImportSummary import_ops_log(const std::string& log_path, const std::string& trace_path,
                             const ImportOptions& options = {});

}  // namespace smmulab::workloads
