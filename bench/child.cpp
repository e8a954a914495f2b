// SPDX-License-Identifier: Apache-2.0
#include "bench/child.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

namespace smmulab::bench {
namespace {

[[noreturn]] void child_main(const std::function<void()>& work, const void* result,
                             std::size_t size, int out) {
  bool delivered = false;
  try {
    work();
    delivered = write(out, result, size) == static_cast<ssize_t>(size);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "measuring process: %s\n", e.what());
  }
  std::_Exit(delivered ? EXIT_SUCCESS : EXIT_FAILURE);
}

}  // namespace

// The result is small: it fits the pipe, so one write and one read carry it whole.
void run_in_child(const std::function<void()>& work, void* result, std::size_t size) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    throw std::runtime_error("no pipe to the measuring process");
  }
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    child_main(work, result, size, ends[1]);
  }
  close(ends[1]);
  const bool received = read(ends[0], result, size) == static_cast<ssize_t>(size);
  close(ends[0]);
  int status = -1;
  if (child > 0) {
    waitpid(child, &status, 0);
  }
  if (!received || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
    throw std::runtime_error("a measuring process failed");
  }
}

}  // namespace smmulab::bench
