// SPDX-License-Identifier: Apache-2.0
// PriQueue: where page requests wait for software (IHI 0070 8.1, 8.2). Unlike the event queue it
// takes nothing while an overflow is not acknowledged. A request that is not taken is answered
// here: with success at an overflow, for the last of its group only, so that the device asks once
// more; with failure when the queue is off, has an active PRIQ_ABT_ERR or this write aborts. Stop
// markers are never answered. Not modelled: Secure streams; IDR3.PPS = 1.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/global_errors.hpp"
#include "models/smmuv3/hw/output_queue.hpp"
#include "models/smmuv3/hw/page_request.hpp"

namespace smmulab::smmu::hw {

class PriQueue {
 public:
  static constexpr unsigned kEntryLog2 = 4;
  PriQueue(Memory& memory, const QueuePlace& place, GlobalErrors& errors)
      : queue_(memory, place, kEntryLog2), errors_(errors) {}

  void set_enabled(bool on) { enabled_ = on; }  // CR0.PRIQEN and SMMUEN

  // Gives the automatic response, if there is one. `ppar(stream)` is STE.PPAR, nothing if there is
  // no valid STE; asked for requests with a PASID only.
  template <class Ppar>
  std::optional<PageResponse> receive(const PageRequest& request, const Ppar& ppar) {
    if (!enabled_ || errors_.active(GlobalError::kPriqAbort)) {
      return respond(request, PrgCode::kFailure, false);
    }
    if (queue_.full() || queue_.overflow()) {
      queue_.note_overflow();
      ++discarded_;
      return request.last ? overflow_response(request, ppar) : std::nullopt;
    }
    if (!queue_.push(encode(request))) {
      errors_.raise(GlobalError::kPriqAbort);
      return respond(request, PrgCode::kFailure, false);
    }
    ++taken_;
    return std::nullopt;
  }

  [[nodiscard]] OutputQueue& queue() { return queue_; }
  [[nodiscard]] const OutputQueue& queue() const { return queue_; }
  [[nodiscard]] std::uint64_t taken() const { return taken_; }
  [[nodiscard]] std::uint64_t discarded() const { return discarded_; }

 private:
  std::optional<PageResponse> respond(const PageRequest& request, PrgCode code, bool pasid) {
    if (request.is_stop_marker()) {
      return std::nullopt;
    }
    return PageResponse{request.stream, pasid ? request.substream : std::nullopt, request.prg_index,
                        code};
  }
  template <class Ppar>
  std::optional<PageResponse> overflow_response(const PageRequest& request, const Ppar& ppar) {
    if (!request.substream || request.is_stop_marker()) {
      return respond(request, PrgCode::kSuccess, false);
    }
    const std::optional<bool> pasid = ppar(request.stream);
    return respond(request, pasid ? PrgCode::kSuccess : PrgCode::kFailure, pasid.value_or(false));
  }

  OutputQueue queue_;
  GlobalErrors& errors_;
  bool enabled_ = false;
  std::uint64_t taken_ = 0;
  std::uint64_t discarded_ = 0;
};

}  // namespace smmulab::smmu::hw
