// SPDX-License-Identifier: Apache-2.0
// For tests of the trace format: files in a folder that goes away, and traces from text.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "workloads/trace_format.hpp"

namespace smmulab::workloads::testing {

class TempDir {
 public:
  TempDir() {
    std::string path = ::testing::TempDir() + "smmulab-trace-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      throw std::runtime_error("no temporary folder");
    }
    path_ = path;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(std::string_view name) const { return (path_ / name).string(); }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      found.push_back(entry.path().filename().string());
    }
    return found;
  }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Reads a trace to its end; returns its operations and phases.
inline std::vector<Op> read_all(const std::string& path) {
  TraceReader reader(path);
  std::vector<Op> ops;
  Op op;
  while (reader.next(op)) {
    ops.push_back(op);
  }
  return ops;
}

// Reads `from` and writes it again as `to`.
inline void rewrite(const std::string& from, const std::string& to, int zstd_level = 3) {
  TraceReader reader(from);
  TraceWriter writer(to, reader.header(), {zstd_level, ""});
  Op op;
  while (reader.next(op)) {
    if (op.kind == OpKind::kPhase) {
      writer.phase(reader.phase_name(op));
    } else {
      writer.write(op);
    }
  }
  writer.finish();
}

}  // namespace smmulab::workloads::testing
