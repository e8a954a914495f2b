// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/igroup.hpp"

#include <algorithm>
#include <cerrno>

#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {

Task<Hwpt*> IgroupProtocol::alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                                  bool immediate_attach, const HwptRequest& request, int* rc) {
  Hwpt* hwpt = co_await context().new_hwpt(t, ioas, id);
  if (hwpt == nullptr) {
    *rc = -EEXIST;
    co_return nullptr;
  }
  hwpt->nest_parent = request.has(HwptFlag::kNestParent);
  hwpt->pasid_compat = request.has(HwptFlag::kPasid);
  Context::set_fault(t, *hwpt, request.fault);
  hwpt->domain = co_await context().driver().domain_alloc(
      t, *device.master, {hwpt->nest_parent, request.has(HwptFlag::kDirtyTracking)});
  // No ASID or VMID was left.
  const bool unfinished = hwpt->domain->smmu == nullptr && context().driver().finalises_at_alloc();
  const int error = hwpt->domain->stage == smmu::Stage::kS1 ? -EBUSY : -ENOSPC;
  *rc = unfinished ? error : 0;
  // Drivers that finalise at attach want a device before the fill: the domain is still empty then.
  if (*rc == 0 && immediate_attach) {
    *rc = co_await do_attach(t, device, *hwpt);
  }
  if (*rc == 0) {
    *rc = co_await ioas.iopt.add_domain(t, *hwpt->domain);
    if (*rc == 0) {
      t.charge(costs().list_step);
      ioas.hwpt_list.push_back(hwpt);
      hwpt->listed = true;
      co_return hwpt;
    }
    if (immediate_attach) {
      co_await detach_locked(t, device);
    }
  }
  co_await free_domain(t, *hwpt);
  co_await context().abort_hwpt(t, *hwpt);
  co_return nullptr;
}

Task<int> IgroupProtocol::hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                                     const HwptRequest& request) {
  int rc = 0;
  co_await ioas.mutex.lock(t);
  Hwpt* hwpt = co_await alloc(t, device, ioas, id, false, request, &rc);
  if (hwpt != nullptr) {
    Context::finalize(t, *hwpt);
  }
  co_await ioas.mutex.unlock(t);
  co_return rc;
}

Task<void> IgroupProtocol::hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) {
  return destroy_filled(t, hwpt);
}

Hwpt* IgroupProtocol::attached_hwpt(const Device& device) const {
  if (device.igroup == nullptr) {
    return nullptr;
  }
  const auto& list = device.igroup->device_list;
  return std::find(list.begin(), list.end(), &device) != list.end() ? device.igroup->hwpt : nullptr;
}

Task<int> IgroupProtocol::attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  return do_attach(t, device, hwpt);
}

Task<void> IgroupProtocol::group_setup_msi(lnx::Thread& t, Hwpt& hwpt) {
  setup_msi(t, hwpt);
  co_return;
}

// iommufd_fault_iopf_enable(), _disable()
Task<void> IgroupProtocol::set_iopf(lnx::Thread& t, Device& device, bool on) {
  co_await device.iopf_lock->lock(t);
  const bool changes = on ? device.iopf_enabled++ == 0 : --device.iopf_enabled == 0;
  t.charge(changes ? costs().iopf : Ps{0});
  co_await device.iopf_lock->unlock(t);
}

// iommufd_auto_response_faults(): there are none in flight.
Task<void> IgroupProtocol::respond_faults(lnx::Thread& t, Fault& fault) {
  co_await fault.mutex.lock(t);
  co_await fault.lock.lock(t);
  t.charge(costs().list_step);
  co_await fault.lock.unlock(t);
  t.charge(costs().list_step);
  co_await fault.mutex.unlock(t);
}

Task<int> IgroupProtocol::attach_hwpt(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  if (hwpt.fault != nullptr) {
    co_await set_iopf(t, device, true);
  }
  const int rc = co_await core().attach_group(t, *device.group, *hwpt.domain);
  if (rc != 0 && hwpt.fault != nullptr) {
    co_await set_iopf(t, device, false);
  }
  co_return rc;
}

Task<int> IgroupProtocol::replace_hwpt(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) {
  const bool on = next.fault != nullptr && old.fault == nullptr;
  const bool off = next.fault == nullptr && old.fault != nullptr;
  if (on) {
    co_await set_iopf(t, device, true);
  }
  const int rc = co_await core().replace_group(t, *device.group, *next.domain);
  if (rc == 0 && old.fault != nullptr) {
    co_await respond_faults(t, *old.fault);
  }
  if (rc == 0 ? off : on) {
    co_await set_iopf(t, device, false);
  }
  co_return rc;
}

Task<void> IgroupProtocol::detach_hwpt(lnx::Thread& t, Device& device, Hwpt* hwpt) {
  co_await core().detach_group(t, *device.group);
  if (hwpt != nullptr && hwpt->fault != nullptr) {
    co_await respond_faults(t, *hwpt->fault);
    co_await set_iopf(t, device, false);
  }
}

Task<int> IgroupProtocol::do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  IommufdGroup& igroup = *device.igroup;
  co_await igroup.lock.lock(t);
  int rc = 0;
  if ((igroup.hwpt != nullptr && igroup.hwpt != &hwpt) || check_compat(igroup, hwpt) != 0) {
    rc = -EINVAL;
  } else {
    rc = co_await hwpt.ioas->iopt.enforce_reserved(t, *device.master);
    if (rc == 0 && igroup.device_list.empty()) {
      co_await group_setup_msi(t, hwpt.paging());
      rc = co_await attach_hwpt(t, device, hwpt);
      if (rc == 0) {
        igroup.hwpt = &hwpt;
      } else {
        co_await hwpt.ioas->iopt.remove_reserved(t, *device.master);
      }
    }
  }
  if (rc == 0) {
    t.charge(costs().list_step);
    ++hwpt.users;
    igroup.device_list.push_back(&device);
  }
  co_await igroup.lock.unlock(t);
  co_return rc;
}

Task<int> IgroupProtocol::replace_reserved(lnx::Thread& t, IommufdGroup& igroup, Hwpt& hwpt) {
  int rc = 0;
  if (igroup.hwpt->ioas != hwpt.ioas) {
    for (std::size_t i = 0; i < igroup.device_list.size() && rc == 0; ++i) {
      rc = co_await hwpt.ioas->iopt.enforce_reserved(t, *igroup.device_list[i]->master);
    }
  }
  if (rc == 0) {
    co_await group_setup_msi(t, hwpt.paging());
  } else {
    co_await remove_reserved(t, igroup, hwpt);
  }
  co_return rc;
}

Task<void> IgroupProtocol::remove_reserved(lnx::Thread& t, IommufdGroup& igroup, const Hwpt& hwpt) {
  for (std::size_t i = 0; i < igroup.device_list.size(); ++i) {
    co_await hwpt.ioas->iopt.remove_reserved(t, *igroup.device_list[i]->master);
  }
}

Task<IgroupProtocol::Replaced> IgroupProtocol::do_replace(lnx::Thread& t, Device& device,
                                                          Hwpt& hwpt) {
  IommufdGroup& igroup = *device.igroup;
  co_await igroup.lock.lock(t);
  Replaced result{0, nullptr};
  auto& list = igroup.device_list;
  t.charge(costs().list_step * static_cast<std::int64_t>(list.size()));
  if (igroup.hwpt == nullptr || std::find(list.begin(), list.end(), &device) == list.end() ||
      check_compat(igroup, hwpt) != 0) {
    result.rc = -EINVAL;
  } else if (igroup.hwpt != &hwpt) {
    Hwpt* old = igroup.hwpt;
    result.rc = co_await replace_reserved(t, igroup, hwpt);
    if (result.rc == 0) {
      result.rc = co_await replace_hwpt(t, device, *old, hwpt);
      if (result.rc != 0 && !(mend_h9_ && old->ioas == hwpt.ioas)) {
        // 6.12 does this even if the IOAS did not change (hazard H9).
        co_await remove_reserved(t, igroup, hwpt);
      }
    }
    if (result.rc == 0) {
      if (old->ioas != hwpt.ioas) {
        co_await remove_reserved(t, igroup, *old);
      }
      igroup.hwpt = &hwpt;
      t.touch(hwpt.counts(), lnx::Access::kUpdate);
      t.touch(old->counts(), lnx::Access::kUpdate);
      const auto moved = static_cast<std::int64_t>(list.size());
      hwpt.users += moved;
      old->users -= moved - 1;
      result.old = old;
    }
  }
  co_await igroup.lock.unlock(t);
  co_return result;
}

Task<int> IgroupProtocol::replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  const Replaced result = co_await do_replace(t, device, hwpt);
  if (result.old != nullptr) {
    co_await context().put_hwpt(t, *result.old);
  }
  co_return result.rc;
}

Task<IgroupProtocol::Replaced> IgroupProtocol::try_auto(lnx::Thread& t, Device& device, Hwpt& hwpt,
                                                        bool replacing) {
  if (replacing) {
    co_return co_await do_replace(t, device, hwpt);
  }
  const int rc = co_await do_attach(t, device, hwpt);
  co_return Replaced{rc, nullptr};
}

Task<IgroupProtocol::Replaced> IgroupProtocol::auto_domain(lnx::Thread& t, Device& device,
                                                           Ioas& ioas, bool replacing) {
  Replaced result{-EINVAL, nullptr};
  co_await ioas.mutex.lock(t);
  for (std::size_t i = 0; i < ioas.hwpt_list.size() && result.rc == -EINVAL; ++i) {
    Hwpt& hwpt = *ioas.hwpt_list[i];
    t.charge(costs().list_step);
    if (!hwpt.auto_domain) {
      continue;
    }
    const bool referenced = co_await context().try_get(t, hwpt);
    if (!referenced) {
      continue;
    }
    result = co_await try_auto(t, device, hwpt, replacing);
    co_await context().put(t, hwpt);
  }
  if (result.rc == -EINVAL) {
    Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id(), !replacing,
                                HwptRequest{}, &result.rc);
    if (hwpt != nullptr) {
      if (replacing) {
        result = co_await do_replace(t, device, *hwpt);
      }
      hwpt->auto_domain = result.rc == 0;
      hwpt->finalized = hwpt->auto_domain;
      if (result.rc != 0) {  // abort: the id was never visible
        std::erase(ioas.hwpt_list, hwpt);
        co_await ioas.iopt.remove_domain(t, *hwpt->domain);
        co_await free_domain(t, *hwpt);
        co_await context().abort_hwpt(t, *hwpt);
      }
    }
  }
  co_await ioas.mutex.unlock(t);
  co_return result;
}

Task<int> IgroupProtocol::attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  const Replaced result = co_await auto_domain(t, device, ioas, false);
  co_return result.rc;
}

Task<int> IgroupProtocol::replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  const Replaced result = co_await auto_domain(t, device, ioas, true);
  if (result.old != nullptr) {
    co_await context().put_hwpt(t, *result.old);
  }
  co_return result.rc;
}

Task<Hwpt*> IgroupProtocol::detach_locked(lnx::Thread& t, Device& device) {
  IommufdGroup& igroup = *device.igroup;
  // 6.12 reads igroup->hwpt before it has the lock: see protocol.detach_race.
  if (detach_race_) {
    co_await t.access(igroup.lock, lnx::Access::kRead);
  }
  Hwpt* read_unlocked = igroup.hwpt;
  co_await igroup.lock.lock(t);
  Hwpt* hwpt = detach_race_ ? read_unlocked : igroup.hwpt;
  t.charge(costs().list_step);
  std::erase(igroup.device_list, &device);
  if (igroup.device_list.empty()) {
    co_await detach_hwpt(t, device, hwpt);
    igroup.hwpt = nullptr;
  }
  if (hwpt != nullptr) {
    co_await hwpt->ioas->iopt.remove_reserved(t, *device.master);
  }
  co_await igroup.lock.unlock(t);
  co_return hwpt;
}

Task<void> IgroupProtocol::detach(lnx::Thread& t, Device& device) {
  Hwpt* hwpt = co_await detach_locked(t, device);
  if (hwpt != nullptr) {
    co_await context().put_hwpt(t, *hwpt);
  }
}

std::unique_ptr<Protocol> make_igroup(Context& context, const ProtocolParams& params) {
  return std::make_unique<IgroupProtocol>(context, params);
}

}  // namespace smmulab::iommufd
