// SPDX-License-Identifier: Apache-2.0
// What the tests of the trace reader share: a header, and what the reader says about a text.
#pragma once

#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads::testing {

inline constexpr const char* kHeader =
    "smmulab-trace 1\n"
    "meta source by hand\n"
    "cpu 0 socket=0 node=0\n"
    "smmu 0\n"
    "group 3\n"
    "devset 2\n"
    "device 0 name=0000:00:02.0 smmu=0 sid=0x10,0x11 group=3 devset=2 ats=1 "
    "msi=0x8000000+0x100000\n"
    "device 1 name=0000:00:03.0 smmu=0 sid=24 group=3 devset=2\n"
    "thread 0 name=main cpu=-\n"
    "thread 1 name=worker cpu=0\n"
    "begin\n";
inline constexpr std::size_t kHeaderLines = 11;
inline constexpr const char* kMade =
    "0 0 bind dev=0\n"
    "1 0 ioas_alloc ioas=5\n"
    "2 0 hwpt_alloc hwpt=6 dev=0 pt=5\n";

class TraceReaderTest : public ::testing::Test {
 protected:
  // What the reader says about a file, without "FILE:"; "" if it is content.
  std::string verdict(const std::string& text, const std::string& name = "t.iotrace") {
    const std::string path = dir_.file(name);
    write_bytes(path, text);
    try {
      read_all(path);
    } catch (const TraceError& error) {
      EXPECT_EQ(error.file(), path);
      return std::string(error.what()).substr(path.size() + 1);
    }
    return "";
  }
  // The same for operation lines behind kHeader; line numbers count from the first of them.
  std::string ops(const std::string& lines, int count) {
    const std::string path = dir_.file("t.iotrace");
    write_bytes(path, kHeader + lines + "end " + std::to_string(count) + "\n");
    try {
      read_all(path);
    } catch (const TraceError& error) {
      const std::string place =
          path + ":" + std::to_string(error.line()) + ":" + std::to_string(error.column()) + ": ";
      return std::to_string(error.line() - kHeaderLines) + ":" + std::to_string(error.column()) +
             ": " + std::string(error.what()).substr(place.size());
    }
    return "";
  }
  TempDir dir_;
};

}  // namespace smmulab::workloads::testing
