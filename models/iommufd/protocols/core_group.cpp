// SPDX-License-Identifier: Apache-2.0
// Drafts in which the iommu core counts a group's attached devices under its own group->mutex
// (variant D, Feb 2023): iommufd has neither list nor lock for devices; the first device attaches
// the group, the last one detaches it; a replace moves the group, its peers' replaces find it
// moved. Hwpts are filled when they are made, as in igroup.hpp. A later device that asks for
// another domain than the group's is not refused (hazard H5, protocol.mend_h5). Rule:
// github.com/nicolinc/iommufd 5ae54f360495, 124f7804ef38; protocol.core_group_ioas_mutex holds
// ioas->mutex around attach as the draft does. Not modelled: the draft's uninitialised result of a
// second attach (VFIO makes it a replace), its assertion that destroy holds ioas->mutex, Baolu Lu's
// ownership counts.
#include <cerrno>

#include "models/iommufd/protocols/igroup.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class CoreGroup final : public IgroupProtocol {
 public:
  CoreGroup(Context& context, const ProtocolParams& params)
      : IgroupProtocol(context, params),
        same_domain_(params.mend_h5),
        ioas_mutex_(params.core_group_ioas_mutex) {}

  [[nodiscard]] ObjectRefs object_refs() const override { return ObjectRefs::kDestroyRwsem; }
  [[nodiscard]] KernelVersion kernel() const override { return linux_version(6, 2); }
  [[nodiscard]] bool checks_isolated_msi_at_bind() const override { return false; }
  [[nodiscard]] Hwpt* attached_hwpt(const Device& device) const override { return device.hwpt; }

  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    if (!ioas_mutex_) {
      co_return co_await do_attach(t, device, hwpt);
    }
    co_await hwpt.ioas->mutex.lock(t);
    const int rc = co_await do_attach(t, device, hwpt);
    co_await hwpt.ioas->mutex.unlock(t);
    co_return rc;
  }

 private:
  Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<Replaced> do_replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<Hwpt*> detach_locked(lnx::Thread& t, Device& device) override;
  Task<int> enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt);

  bool same_domain_;
  bool ioas_mutex_;
};

// iova_rwsem, then group->mutex: it must stay outside the core's own use of that mutex.
Task<int> CoreGroup::enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  return hwpt.ioas->iopt.enforce_reserved_of_group(t, *device.master, device.group->mutex,
                                                   device.group->devices.size());
}

Task<int> CoreGroup::do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  int rc = co_await enforce_reserved(t, device, hwpt);
  if (rc != 0) {
    co_return rc;
  }
  setup_msi(t, hwpt);
  rc = co_await core().attach_device(t, *device.group, *device.master, *hwpt.domain, same_domain_);
  if (rc == 0) {
    ++hwpt.users;
    device.hwpt = &hwpt;
  } else {
    co_await hwpt.ioas->iopt.remove_reserved(t, *device.master);
  }
  co_return rc;
}

Task<IgroupProtocol::Replaced> CoreGroup::do_replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  Hwpt* old = device.hwpt;
  if (old == &hwpt) {
    co_return Replaced{0, nullptr};
  }
  const bool other_ioas = old->ioas != hwpt.ioas;
  if (other_ioas) {
    const int rc = co_await enforce_reserved(t, device, hwpt);
    if (rc != 0) {
      co_return Replaced{rc, nullptr};
    }
  }
  setup_msi(t, hwpt);
  const int rc = co_await core().replace_group(t, *device.group, *hwpt.domain);
  if (other_ioas) {
    co_await (rc == 0 ? old : &hwpt)->ioas->iopt.remove_reserved(t, *device.master);
  }
  if (rc != 0) {
    co_return Replaced{rc, nullptr};
  }
  ++hwpt.users;
  device.hwpt = &hwpt;
  co_return Replaced{0, old};
}

Task<Hwpt*> CoreGroup::detach_locked(lnx::Thread& t, Device& device) {
  Hwpt* hwpt = device.hwpt;
  co_await core().detach_device(t, *device.group, *device.master);
  co_await hwpt->ioas->iopt.remove_reserved(t, *device.master);
  device.hwpt = nullptr;
  co_return hwpt;
}

}  // namespace

std::unique_ptr<Protocol> make_core_group(Context& context, const ProtocolParams& params) {
  return std::make_unique<CoreGroup>(context, params);
}

}  // namespace smmulab::iommufd
