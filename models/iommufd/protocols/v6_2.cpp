// SPDX-License-Identifier: Apache-2.0
// Mainline v6.2 (variant A): hwpt->devices_lock, and no replace: moving a device is a detach and an
// attach, with DMA blocked in between; a group with another device still attached cannot move
// (-EBUSY, hazard H6).
#include "models/iommufd/protocols/hwpt_lock.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class V62 final : public HwptLockProtocol {
 public:
  explicit V62(Context& context) : HwptLockProtocol(context) {}

  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    co_await detach(t, device);
    co_return co_await attach(t, device, hwpt);
  }
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override {
    co_await detach(t, device);
    co_return co_await attach_ioas(t, device, ioas);
  }
};

}  // namespace

std::unique_ptr<Protocol> make_v6_2(Context& context, const ProtocolParams& /*params*/) {
  return std::make_unique<V62>(context);
}

}  // namespace smmulab::iommufd
