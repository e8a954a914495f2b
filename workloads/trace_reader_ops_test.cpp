// SPDX-License-Identifier: Apache-2.0
// The message for each operation that the reader refuses.
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "workloads/trace_reader_testing.hpp"

namespace smmulab::workloads {
namespace {

using testing::kMade;
using testing::TraceReaderTest;

TEST_F(TraceReaderTest, UnknownWords) {
  EXPECT_EQ(ops("0 0 atach dev=0 pt=5\n", 1),
            "1:5: unknown operation 'atach' (did you mean 'attach'?)");
  EXPECT_EQ(ops("0 0 fly dev=0\n", 1).substr(0, 42), "1:5: unknown operation 'fly' (known: bind,");
  EXPECT_EQ(ops("0 0 bind dve=0\n", 1), "1:10: bind takes no key 'dve' (did you mean 'dev'?)");
  EXPECT_EQ(ops("0 0 bind flags=0\n", 1), "1:10: bind takes no key 'flags' (known: dev, ret, dur)");
  EXPECT_EQ(ops("0 0 bind dev=0 dev=0\n", 1), "1:16: duplicate key 'dev'");
  EXPECT_EQ(ops("0 0 bind\n", 1), "1:9: bind: missing key 'dev'");
  EXPECT_EQ(ops("0 0 bind dev=\n", 1), "1:14: dev: expected a whole number, found ''");
  EXPECT_EQ(ops("bind 0 0\n", 1),
            "1:1: expected an operation (it begins with its issue time in ns), 'phase' or 'end', "
            "found 'bind'");
  EXPECT_EQ(ops("0 0\n", 1), "1:4: expected an operation");
  EXPECT_EQ(ops("phase\n", 0), "1:6: expected the name of the phase");
  EXPECT_EQ(ops("phase a b\n", 0), "1:9: unexpected 'b': the line should end here");
}

TEST_F(TraceReaderTest, Times) {
  EXPECT_EQ(ops("-5 0 bind dev=0\n", 1), "1:1: issue time: -5 is negative");
  EXPECT_EQ(ops("0 0 bind dev=0 dur=-1\n", 1), "1:20: dur: -1 is negative");
  EXPECT_EQ(ops("1.2345 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '1.2345'");
  EXPECT_EQ(ops("1. 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '1.'");
  EXPECT_EQ(ops("9e9 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '9e9'");
  EXPECT_EQ(ops("99999999999999999999999 0 bind dev=0\n", 1),
            "1:1: issue time: 99999999999999999999999 is out of range (at most 4611686018427387 "
            "ns)");
  EXPECT_EQ(ops("5000000000000000 0 bind dev=0\n", 1),
            "1:1: issue time: 5000000000000000 is out of range (at most 4611686018427387 ns)");
  EXPECT_EQ(ops("10 0 bind dev=0\n9.5 1 bind dev=1\n", 2),
            "2:1: issue time 9.5 ns is before that of line 12 (10 ns): operations are ordered by "
            "issue time");
  EXPECT_EQ(ops("10 0 bind dev=0 dur=5\n14 0 bind dev=1\n", 2),
            "2:1: thread 0 begins this operation before its last one (line 12) ended at 15 ns");
  EXPECT_EQ(ops("10 0 bind dev=0 dur=5\n15 0 bind dev=1\n", 2), "");
}

TEST_F(TraceReaderTest, ValuesOutOfRange) {
  EXPECT_EQ(ops("0 2 bind dev=0\n", 1), "1:3: thread 2 is not declared");
  EXPECT_EQ(ops("0 0 bind dev=2\n", 1), "1:14: device 2 is not declared");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=0\n", 1),
            "1:21: ioas: 0 is out of range (object ids start at 1)");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=2147483647\n", 1), "");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=2147483648\n", 1),
            "1:21: ioas: 2147483648 is out of range (object ids end at 2147483647, xa_limit_31b)");
  EXPECT_EQ(ops("0 0 bind dev=0 ret=1\n", 1), "1:20: ret: 1 is out of range (0 or -errno)");
  EXPECT_EQ(ops("0 0 bind dev=0 ret=-4096\n", 1),
            "1:21: errno in ret: 4096 is out of range (at most 4095)");
  const std::string made = "0 0 ioas_alloc ioas=5\n";
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0 len=0\n", 2),
            "2:27: len: 0 is out of range (at least one byte)");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0 len=100\n", 2),
            "2:27: len: 100 is not a multiple of the page size 4096");
  EXPECT_EQ(ops(made + "1 0 unmap ioas=5 iova=0x10 len=4096\n", 2),
            "2:23: iova: 0x10 is not a multiple of the page size 4096");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0xfffffffffffff000 len=8192\n", 2),
            "2:21: iova + len is beyond 2^64");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0xfffffffffffff000 len=4096\n", 2), "");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0x1ffffffffffffffff len=4096\n", 2),
            "2:21: iova: 0x1ffffffffffffffff is out of range (at most 18446744073709551615)");
}

TEST_F(TraceReaderTest, Objects) {
  EXPECT_EQ(ops("0 0 attach dev=0 pt=5\n", 1), "1:16: device 0 is used before it was bound");
  EXPECT_EQ(ops("0 0 bind dev=0\n1 0 attach dev=0 pt=5\n", 2),
            "2:21: object 5 is used before it was made");
  EXPECT_EQ(ops("0 0 map ioas=5 iova=0 len=4096\n", 1), "1:14: ioas 5 is used before it was made");
  EXPECT_EQ(ops("0 0 hwpt_destroy hwpt=5\n", 1), "1:23: hwpt 5 is used before it was made");
  const std::string made = kMade;
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6\n4 1 attach dev=0 pt=6\n", 5),
            "5:21: object 6 is used after it was destroyed (line 15)");
  EXPECT_EQ(ops(made + "3 0 unbind dev=0\n4 1 attach dev=0 pt=6\n", 5),
            "5:16: device 0 is used after it was unbound (line 15)");
  EXPECT_EQ(ops(made + "3 0 ioas_destroy ioas=6\n", 4),
            "4:23: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=5\n", 4),
            "4:23: expected a hwpt, but line 13 made it an ioas");
  EXPECT_EQ(ops(made + "3 0 ioas_alloc ioas=6\n", 4),
            "4:21: duplicate id: ioas 6 is alive, made at line 14");
  EXPECT_EQ(ops(made + "3 0 bind dev=0\n", 4),
            "4:14: duplicate id: device 0 was bound already at line 12");
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6\n4 0 ioas_alloc ioas=6\n", 5), "");
  EXPECT_EQ(ops(made + "3 0 access_attach access=6 ioas=5\n", 4),
            "4:26: expected an access, but line 14 made it a hwpt");
  EXPECT_EQ(ops(made + "3 0 pin access=7 iova=0 len=4096\n", 4),
            "4:16: access 7 is used before it was made");
  const std::string access = made + "3 0 access_create access=7\n";
  EXPECT_EQ(ops(access + "4 0 access_attach access=7 ioas=6\n", 5),
            "5:33: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(ops(access + "4 0 attach dev=0 pt=7\n", 5),
            "5:21: expected an ioas or a hwpt, but line 15 made it an access");
  EXPECT_EQ(ops(access + "4 0 access_destroy access=7\n5 0 access_detach access=7\n", 6),
            "6:26: access 7 is used after it was destroyed (line 16)");
  const std::string fault = made + "3 0 fault_alloc fault=7\n";
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=7 dev=0 pt=6 flags=4\n", 5), "");
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=7 dev=0 pt=6\n", 5),
            "5:29: fault: flags= does not have 0x4 (IOMMU_HWPT_FAULT_ID_VALID)");
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=6 dev=0 pt=6 flags=4\n", 5),
            "5:29: expected a fault, but line 14 made it a hwpt");
  EXPECT_EQ(ops(fault + "4 0 set_dirty hwpt=5\n", 5),
            "5:20: expected a hwpt, but line 13 made it an ioas");
  EXPECT_EQ(ops(fault + "4 0 attach_pasid dev=0 pasid=0 pt=6\n", 5),
            "5:30: pasid: 0 is out of range (1 to 1048575)");
  EXPECT_EQ(ops(fault + "4 0 attach_pasid dev=0 pasid=1 pt=9\n", 5),
            "5:35: object 9 is used before it was made");
  EXPECT_EQ(ops(fault + "4 0 hwpt_invalidate hwpt=6 count=524289\n", 5),
            "5:34: count: 524289 is out of range (at most 524288)");
  EXPECT_EQ(ops(fault + "4 0 get_dirty hwpt=6 iova=0 len=4096 flags=0x2\n", 5),
            "5:44: flags: 0x2 is out of range (0 to 0x1)");
  EXPECT_EQ(ops("0 0 msi_prepare dev=0\n", 1), "1:21: device 0 is used before it was bound");
  EXPECT_EQ(ops(access + "4 0 ioas_alloc ioas=7\n", 5),
            "5:21: duplicate id: ioas 7 is alive, made at line 15");
  // Recorded failures change nothing and may name what does not exist.
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6 ret=-16\n4 0 attach dev=0 pt=6\n", 5), "");
  EXPECT_EQ(ops(made + "3 0 attach dev=0 pt=99 ret=-2\n4 0 ioas_alloc ioas=5 ret=-12\n", 5), "");
}

TEST_F(TraceReaderTest, Areas) {
  const std::string map = std::string(kMade) + "3 0 map ioas=5 iova=0x2000 len=0x2000\n";
  EXPECT_EQ(ops(map + "4 0 map ioas=5 iova=0x3000 len=0x4000 ret=0\n", 5),
            "5:21: map of 0x3000..0x6fff overlaps the area 0x2000..0x3fff of line 15, which was "
            "not unmapped");
  EXPECT_EQ(ops(map + "4 0 map ioas=5 iova=0x3000 len=0x4000 ret=-17\n", 5), "");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x8000 len=0x1000\n", 5),
            "5:23: unmap of 0x8000..0x8fff is not recorded as failed, but nothing is mapped there");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x2000 len=0x1000 ret=0\n", 5),
            "5:23: unmap of 0x2000..0x2fff is not recorded as failed, but would cut the area "
            "0x2000..0x3fff of line 15");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x2000 len=0x1000 ret=-2\n", 5), "");
  EXPECT_EQ(
      ops(map + "4 0 unmap ioas=5 iova=0 len=0x10000\n5 1 map ioas=5 iova=0x2000 len=4096\n", 6),
      "");
  EXPECT_EQ(ops(map + "4 0 unmap_all ioas=5\n5 1 map ioas=5 iova=0x2000 len=4096\n", 6), "");
  EXPECT_EQ(ops(map + "4 0 unmap_all ioas=5\n5 0 unmap ioas=5 iova=0x2000 len=0x2000\n", 6),
            "6:23: unmap of 0x2000..0x3fff is not recorded as failed, but nothing is mapped there");
}

TEST_F(TraceReaderTest, Copies) {
  const std::string map = std::string(kMade) +
                          "3 0 map ioas=5 iova=0x2000 len=0x2000\n"
                          "4 0 map ioas=5 iova=0x5000 len=0x1000\n"
                          "5 0 ioas_alloc ioas=7\n";
  const auto copy = [&](const std::string& fields) { return ops(map + "6 0 copy " + fields, 7); };
  EXPECT_EQ(copy("ioas=7 src=5 from=0x2000 iova=0 len=0x2000\n"), "");
  EXPECT_EQ(copy("ioas=5 src=5 from=0x3000 iova=0x4000 len=0x1000\n"), "");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x3000 iova=0 len=0x2000\n"),
            "7:28: copy from 0x3000..0x4fff of ioas 5 is not recorded as failed, but nothing is "
            "mapped at 0x4000");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x1000 iova=0 len=0x2000\n"),
            "7:28: copy from 0x1000..0x2fff of ioas 5 is not recorded as failed, but nothing is "
            "mapped at 0x1000");
  EXPECT_EQ(copy("ioas=5 src=5 from=0x2000 iova=0x5000 len=0x1000\n"),
            "7:40: map of 0x5000..0x5fff overlaps the area 0x5000..0x5fff of line 16, which was "
            "not unmapped");
  EXPECT_EQ(copy("ioas=7 src=6 from=0x2000 iova=0 len=0x1000\n"),
            "7:21: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x2010 iova=0 len=0x1000\n"),
            "7:28: from: 0x2010 is not a multiple of the page size 4096, or from + len is beyond "
            "2^64");
  EXPECT_EQ(copy("ioas=7 src=5 iova=0 len=0x1000\n"), "7:40: copy: missing key 'from'");
  EXPECT_EQ(copy("ioas=7 src=5 from=0 iova=0 len=0x1000 ret=-2\n"), "");
}

}  // namespace
}  // namespace smmulab::workloads
