// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/report.hpp"

namespace smmulab::workloads::qemu {

const char* check_name(Check check) {
  switch (check) {
    case Check::kConfigLookup:
      return "config cache hit or miss";
    case Check::kConfigAddress:
      return "addresses of L1STD, STE and CD";
    case Check::kBypass:
      return "bypass or abort";
    case Check::kAsid:
      return "ASID of the stream";
    case Check::kIotlbLookup:
      return "IOTLB hit or miss";
    case Check::kWalkReads:
      return "descriptor addresses and their number";
    case Check::kLeaf:
      return "level of the leaf, page or block";
    case Check::kAddress:
      return "physical address";
    case Check::kPermission:
      return "read-only or writable";
    case Check::kFault:
      return "event of a fault";
    case Check::kFlush:
      return "IOTLB emptied when full";
    case Check::kLive:
      return "live IOTLB entries after a command";
  }
  return "?";
}

}  // namespace smmulab::workloads::qemu
