// SPDX-License-Identifier: Apache-2.0
// Kernels without replace: a device moves by a detach and an attach, with DMA blocked in between; a
// group with another device still attached cannot move (-EBUSY, hazard H6).
#pragma once

#include "models/iommufd/protocols/hwpt_lock.hpp"

namespace smmulab::iommufd {

class MovingProtocol : public HwptLockProtocol {
 public:
  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    co_await detach(t, device);
    co_return co_await attach(t, device, hwpt);
  }
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override {
    co_await detach(t, device);
    co_return co_await attach_ioas(t, device, ioas);
  }

 protected:
  using HwptLockProtocol::HwptLockProtocol;
};

}  // namespace smmulab::iommufd
