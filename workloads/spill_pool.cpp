// SPDX-License-Identifier: Apache-2.0
#include "workloads/spill_pool.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include <unistd.h>

#include <fmt/format.h>

#include "sim/check.hpp"

namespace smmulab::workloads {
namespace {

[[noreturn]] void fail(const char* doing, int error) {
  throw ConfigError(fmt::format("cannot {} the temporary file for waiting operations: {}", doing,
                                std::generic_category().message(error)));
}

}  // namespace

SpillPool::SpillPool(std::size_t budget_bytes, std::size_t chunk_bytes)
    : budget_(budget_bytes), chunk_bytes_(chunk_bytes) {
  SMMULAB_CHECK(chunk_bytes > 0, "SpillPool: chunks hold at least one byte");
}

SpillPool::~SpillPool() {
  if (fd_ >= 0) {
    ::close(fd_);
  }
}

bool SpillPool::reserve() {
  if (used_ + chunk_bytes_ > budget_) {
    return false;
  }
  used_ += chunk_bytes_;
  return true;
}

std::uint32_t SpillPool::store(std::span<const std::byte> chunk) {
  SMMULAB_CHECK(chunk.size() <= chunk_bytes_, "SpillPool::store: more than a chunk");
  if (fd_ < 0) {
    open_file();
  }
  std::uint32_t slot = slots_;
  if (free_.empty()) {
    ++slots_;
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  auto at = static_cast<off_t>(std::uint64_t{slot} * chunk_bytes_);
  while (!chunk.empty()) {
    const ssize_t n = ::pwrite(fd_, chunk.data(), chunk.size(), at);
    if (n < 0 && errno != EINTR) {
      fail("write", errno);
    }
    if (n > 0) {
      chunk = chunk.subspan(static_cast<std::size_t>(n));
      at += n;
    }
  }
  return slot;
}

void SpillPool::load(std::uint32_t slot, std::span<std::byte> chunk) {
  auto at = static_cast<off_t>(std::uint64_t{slot} * chunk_bytes_);
  while (!chunk.empty()) {
    const ssize_t n = ::pread(fd_, chunk.data(), chunk.size(), at);
    if (n == 0 || (n < 0 && errno != EINTR)) {
      fail("read", n == 0 ? EIO : errno);
    }
    if (n > 0) {
      chunk = chunk.subspan(static_cast<std::size_t>(n));
      at += n;
    }
  }
  discard(slot);
}

void SpillPool::open_file() {
  const char* folder = std::getenv("TMPDIR");
  std::string path = fmt::format("{}/smmulab-spill-XXXXXX", folder == nullptr ? "/tmp" : folder);
  fd_ = ::mkstemp(path.data());
  if (fd_ < 0) {
    fail("make", errno);
  }
  ::unlink(path.c_str());
}

}  // namespace smmulab::workloads
