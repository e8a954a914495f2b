// SPDX-License-Identifier: Apache-2.0
// For tests: what the state after a trace must be, worked out from its operations one after the
// other without any model. Right for traces in which no order of the threads' operations changes a
// result: each device and each area is only ever touched by one thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "workloads/op.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads::testing {

class ReferenceState {
 public:
  // The next operation of a trace; those recorded as failed change nothing.
  void apply(const Op& op);
  // As System::final_state() writes it, but sorted.
  [[nodiscard]] std::vector<std::string> lines(const TraceHeader& header) const;

 private:
  using Areas = std::map<std::uint64_t, std::uint64_t>;  // first -> last byte

  [[nodiscard]] std::string describe(const DeviceRecord& record, DeviceIndex device) const;

  std::map<ObjectId, Areas> ioases_;
  std::map<ObjectId, ObjectId> hwpts_;  // hwpt -> ioas, or parent
  std::map<std::pair<DeviceIndex, std::uint32_t>, ObjectId> pasids_;
  std::set<DeviceIndex> bound_;
  std::map<DeviceIndex, ObjectId> attached_;
  struct Access {
    ObjectId ioas{};
    std::multiset<std::pair<std::uint64_t, std::uint64_t>> pins;  // first and last byte
  };
  void unmap(const Op& op);
  std::map<ObjectId, Access> accesses_;
};

struct IndependentTraceOptions {
  std::uint32_t threads = 6;  // each with a device and areas of its own
  std::uint64_t operations = 500;
  bool one_after_another = false;  // thread 0's operations first, and so on; else mixed
};

// Writes a random trace that ends without error under every order of its threads. Memory: threads.
// Returns the state after it.
std::vector<std::string> write_independent_trace(const std::string& path, std::uint64_t seed,
                                                 const IndependentTraceOptions& options);

}  // namespace smmulab::workloads::testing
