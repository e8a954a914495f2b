// SPDX-License-Identifier: Apache-2.0
// A generated trace in a folder of its own that goes away with the object.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "bench/replay_load.hpp"

namespace smmulab::bench {

class TempTrace {
 public:
  explicit TempTrace(const ReplayShape& shape) : shape_(shape) {
    std::string folder = (std::filesystem::temp_directory_path() / "smmulab-bench-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) {
      throw std::runtime_error("no temporary folder");
    }
    folder_ = folder;
    write_trace(path(), shape);
  }
  TempTrace(const TempTrace&) = delete;
  TempTrace& operator=(const TempTrace&) = delete;
  ~TempTrace() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  [[nodiscard]] Sample replay(Record* record = nullptr) const {
    return run_replay(path(), shape_, record);
  }

 private:
  [[nodiscard]] std::string path() const { return (folder_ / "generated.trace").string(); }

  ReplayShape shape_;
  std::filesystem::path folder_;
};

}  // namespace smmulab::bench
