// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/core.hpp"

#include <cerrno>

namespace smmulab::iommufd {

Task<int> IommuCore::attach_one(lnx::Thread& t, smmu::Master& master, smmu::Domain* domain) {
  if (domain == nullptr) {
    co_await driver_.attach_blocked(t, master);
    co_return 0;
  }
  co_return co_await driver_.attach_dev(t, master, *domain);
}

Task<int> IommuCore::set_domain(lnx::Thread& t, IommuGroup& group, smmu::Domain* domain,
                                bool must_succeed) {
  t.charge(params_.group_base);
  if (group.domain == domain) {
    co_return 0;
  }
  if (group.resetting != nullptr && (!must_succeed || group.fenced_detach)) {
    co_return -EBUSY;
  }
  int result = 0;
  std::size_t tried = 0;
  for (smmu::Master* master : group.devices) {
    ++tried;
    if (master == group.resetting) {
      continue;  // follows at the end of its reset
    }
    const int rc = co_await attach_one(t, *master, domain);
    if (rc == 0) {
      continue;
    }
    result = rc;
    if (!must_succeed) {
      break;
    }
  }
  if (result != 0 && !must_succeed) {
    const std::size_t reverted = reverts_whole_group_ ? group.devices.size() : tried;
    for (std::size_t i = 0; i < reverted; ++i) {
      co_await attach_one(t, *group.devices[i], group.domain);
    }
    co_return result;
  }
  group.domain = domain;
  co_return result;
}

Task<void> IommuCore::check_isolated_msi(lnx::Thread& t, IommuGroup& group) {
  co_await group.mutex.lock(t);
  t.charge(params_.list_step * static_cast<std::int64_t>(group.devices.size()));
  co_await group.mutex.unlock(t);
}

// __iommu_group_alloc_blocking_domain()
Task<void> IommuCore::alloc_blocking(lnx::Thread& t, IommuGroup& group) {
  if (!driver_.has_blocked_domain() && group.blocking_domain == nullptr) {
    group.blocking_domain = co_await driver_.domain_alloc(t, *group.devices.front());
  }
}

Task<int> IommuCore::claim_dma_owner(lnx::Thread& t, IommuGroup& group, const void* owner) {
  co_await group.mutex.lock(t);
  int rc = 0;
  if (group.owner_count != 0) {
    if (group.owner != owner) {
      rc = -EPERM;
    } else {
      ++group.owner_count;
    }
  } else {
    co_await alloc_blocking(t, group);
    rc = co_await set_domain(t, group, blocking(group), false);
    if (rc == 0) {
      group.owner = owner;
      group.owner_count = 1;
    }
  }
  co_await group.mutex.unlock(t);
  co_return rc;
}

Task<void> IommuCore::release_dma_owner(lnx::Thread& t, IommuGroup& group) {
  co_await group.mutex.lock(t);
  if (group.owner_count > 0 && --group.owner_count == 0) {
    group.owner = nullptr;
    co_await set_domain(t, group, group.default_domain, true);
  }
  co_await group.mutex.unlock(t);
}

Task<int> IommuCore::attach_idle(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain) {
  if (group.domain != group.default_domain && group.domain != blocking(group)) {
    co_return -EBUSY;
  }
  co_return co_await set_domain(t, group, &domain, false);
}

Task<int> IommuCore::attach_group(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain) {
  co_await group.mutex.lock(t);
  t.charge(params_.handle);
  const int rc = co_await attach_idle(t, group, domain);
  co_await group.mutex.unlock(t);
  co_return rc;
}

Task<int> IommuCore::replace_group(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain) {
  co_await group.mutex.lock(t);
  t.charge(params_.handle);
  const int rc = co_await set_domain(t, group, &domain, false);
  co_await group.mutex.unlock(t);
  co_return rc;
}

Task<void> IommuCore::detach_group(lnx::Thread& t, IommuGroup& group) {
  co_await group.mutex.lock(t);
  t.charge(params_.handle);
  co_await set_domain(t, group, idle_domain(group), true);
  co_await group.mutex.unlock(t);
}

lnx::Mutex& IommuCore::msi_prepare_lock() {
  if (!msi_prepare_lock_) {
    msi_prepare_lock_ = std::make_unique<lnx::Mutex>(
        machine_, machine_.locks().get("msi_prepare_lock", lnx::LockKind::kMutex));
  }
  return *msi_prepare_lock_;
}

// __iommu_set_group_pasid(): on failure those done so far go back.
Task<int> IommuCore::attach_pasid(lnx::Thread& t, IommuGroup& group, std::uint32_t pasid,
                                  smmu::Domain& domain, smmu::Domain* old) {
  co_await group.mutex.lock(t);
  t.charge(params_.handle + params_.list_step * static_cast<std::int64_t>(group.devices.size()));
  int rc = group.resetting != nullptr ? -EBUSY : 0;
  std::size_t done = 0;
  while (rc == 0 && done < group.devices.size()) {
    rc = co_await driver_.attach_pasid(t, *group.devices[done], pasid, domain);
    done += rc == 0 ? 1 : 0;
  }
  for (std::size_t i = 0; rc != 0 && i < done; ++i) {
    if (old != nullptr) {
      co_await driver_.attach_pasid(t, *group.devices[i], pasid, *old);
    } else {
      co_await driver_.detach_pasid(t, *group.devices[i], pasid);
    }
  }
  co_await group.mutex.unlock(t);
  co_return rc;
}

Task<void> IommuCore::detach_pasid(lnx::Thread& t, IommuGroup& group, std::uint32_t pasid) {
  co_await group.mutex.lock(t);
  t.charge(params_.handle);
  for (smmu::Master* master : group.devices) {
    if (master != group.resetting) {  // has lost it already
      co_await driver_.detach_pasid(t, *master, pasid);
    }
  }
  std::erase_if(group.reset_pasids, [pasid](const auto& use) { return use.pasid == pasid; });
  co_await group.mutex.unlock(t);
}

// The group keeps its domain and its PASIDs: only the device leaves them.
Task<int> IommuCore::reset_prepare(lnx::Thread& t, IommuGroup& group, smmu::Master& device,
                                   bool fence_detach) {
  if (!device.ats_supported) {
    co_return 0;
  }
  co_await group.mutex.lock(t);
  int rc = group.resetting != nullptr ? -EBUSY : 0;
  if (rc == 0) {
    co_await alloc_blocking(t, group);
    if (group.domain != blocking(group)) {
      rc = co_await attach_one(t, device, blocking(group));
    }
  }
  if (rc == 0) {
    group.reset_pasids = device.pasids;
    for (const smmu::Master::PasidUse& use : group.reset_pasids) {
      co_await driver_.detach_pasid(t, device, use.pasid);
    }
    group.resetting = &device;
    group.fenced_detach = fence_detach;
  }
  co_await group.mutex.unlock(t);
  co_return rc;
}

// What can not be attached again is left blocked, with a warning.
Task<void> IommuCore::reset_done(lnx::Thread& t, IommuGroup& group, smmu::Master& device) {
  if (!device.ats_supported) {
    co_return;
  }
  co_await group.mutex.lock(t);
  if (group.resetting == &device) {
    if (group.domain != blocking(group)) {
      (void)co_await attach_one(t, device, group.domain);
    }
    for (const smmu::Master::PasidUse& use : group.reset_pasids) {
      (void)co_await driver_.attach_pasid(t, device, use.pasid, *use.domain);
    }
    group.reset_pasids.clear();
    group.resetting = nullptr;
  }
  co_await group.mutex.unlock(t);
}

Task<int> IommuCore::attach_device(lnx::Thread& t, IommuGroup& group, const smmu::Master& device,
                                   smmu::Domain& domain, bool same_domain) {
  co_await group.mutex.lock(t);
  t.charge(params_.list_step * static_cast<std::int64_t>(group.devices.size()));
  int rc = 0;
  if (group.attached.empty()) {
    rc = co_await attach_idle(t, group, domain);
  } else if (same_domain && group.domain != &domain) {
    rc = -EBUSY;
  }
  if (rc == 0) {
    group.attached.push_back(&device);
  }
  co_await group.mutex.unlock(t);
  co_return rc;
}

Task<void> IommuCore::detach_device(lnx::Thread& t, IommuGroup& group, const smmu::Master& device) {
  co_await group.mutex.lock(t);
  t.charge(params_.list_step * static_cast<std::int64_t>(group.devices.size()));
  std::erase(group.attached, &device);
  if (group.attached.empty()) {
    co_await set_domain(t, group, idle_domain(group), true);
  }
  co_await group.mutex.unlock(t);
}

}  // namespace smmulab::iommufd
