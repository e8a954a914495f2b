// SPDX-License-Identifier: Apache-2.0
// GlobalErrors: SMMU_GERROR and SMMU_GERRORN (IHI 0070 7.5). The SMMU toggles a flag of GERROR, and
// only while that error is not active; software acknowledges by making GERRORN equal. An error is
// active while the two differ. Not modelled: the GERROR interrupt, MSI aborts and Service Failure
// Mode have their bits but nothing here raises them.
#pragma once

#include <cstdint>

namespace smmulab::smmu::hw {

// Bit numbers.
enum class GlobalError : std::uint8_t {
  kCmdq = 0,
  kEventqAbort = 2,
  kPriqAbort = 3,
  kMsiCmdqAbort = 4,
  kMsiEventqAbort = 5,
  kMsiPriqAbort = 6,
  kMsiGerrorAbort = 7,
  kServiceFailure = 8,
  kCmdqPages = 9,  // CMDQP_ERR: of some ECMDQ
};

class GlobalErrors {
 public:
  // False: it was active already, and this one is not told.
  bool raise(GlobalError error) {
    if (active(error)) {
      return false;
    }
    gerror_ ^= mask(error);
    return true;
  }
  [[nodiscard]] bool active(GlobalError error) const {
    return ((gerror_ ^ gerrorn_) & mask(error)) != 0;
  }
  [[nodiscard]] std::uint32_t gerror() const { return gerror_; }
  [[nodiscard]] std::uint32_t gerrorn() const { return gerrorn_; }
  // A store to GERRORN. To toggle a flag whose error is not active is CONSTRAINED UNPREDICTABLE;
  // here it has no effect.
  void write_gerrorn(std::uint32_t value) {
    const std::uint32_t active = gerror_ ^ gerrorn_;
    gerrorn_ ^= (gerrorn_ ^ value) & active;
  }

 private:
  static constexpr std::uint32_t mask(GlobalError error) {
    return 1U << static_cast<unsigned>(error);
  }
  std::uint32_t gerror_ = 0;
  std::uint32_t gerrorn_ = 0;
};

}  // namespace smmulab::smmu::hw
