// SPDX-License-Identifier: Apache-2.0
// OpsFile: the simulated start and end of every operation, a line each in order of their end:
//   SEQ THREAD KIND START_PS END_PS RESULT
// written beside the target and renamed to it when finished.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "workloads/replay.hpp"

namespace smmulab::workloads {

class OpsFile {
 public:
  // Throws ConfigError if the folder cannot be written.
  explicit OpsFile(std::string path);
  ~OpsFile();
  OpsFile(const OpsFile&) = delete;
  OpsFile& operator=(const OpsFile&) = delete;

  void write(const OpOutcome& outcome);
  // Throws ConfigError if not all could be written.
  void finish();

 private:
  std::string path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace smmulab::workloads
