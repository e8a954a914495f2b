// SPDX-License-Identifier: Apache-2.0
#include "workloads/ops_file.hpp"

#include <cerrno>
#include <system_error>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/byte_stream.hpp"

namespace smmulab::workloads {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw ConfigError(fmt::format("{}: cannot be written: {}", path, why));
}

std::string errno_text() {
  return std::generic_category().message(errno);
}

}  // namespace

OpsFile::OpsFile(std::string path)
    : path_(std::move(path)), temporary_(fmt::format("{}.{}.part", path_, getpid())) {
  if (const std::string why = why_not_replaced(path_); !why.empty()) {
    fail(path_, why);
  }
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (file_ == nullptr) {
    fail(path_, errno_text());
  }
}

OpsFile::~OpsFile() {
  if (file_ != nullptr) {
    std::fclose(file_);
    std::remove(temporary_.c_str());
  }
}

void OpsFile::write(const OpOutcome& o) {
  fmt::print(file_, "{} {} {} {} {} {}\n", o.seq, o.thread.value(), op_name(o.kind), to_ps(o.start),
             to_ps(o.end), o.rc);
}

void OpsFile::finish() {
  const bool failed = std::ferror(file_) != 0;
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (failed || !closed || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const std::string why = errno_text();
    std::remove(temporary_.c_str());
    fail(path_, why);
  }
}

}  // namespace smmulab::workloads
