// SPDX-License-Identifier: Apache-2.0
// Linux 6.15 and later (variant F): igroup->hwpt and device_list became an entry of the array
// igroup->pasid_attach (RID is NO_PASID), MSI pages are kept in a list under ictx->sw_msi_lock and
// mapped into each hwpt under igroup->lock instead of by a cookie. Detach reads the hwpt under
// igroup->lock. Rule: Linux 6.15 drivers/iommu/iommufd/device.c iommufd_hw_pagetable_attach(),
// iommufd_group_setup_msi(), driver.c iommufd_sw_msi_install(); reference locking.md section 7.F
// (R48, R55). Not modelled: operations on PASIDs, allocation of MSIs (the pages each group requires
// are protocol.sw_msi_pages), the cost of the array entries beyond that of 6.12's lists,
// auto-response of faults, vDEVICEs, PCI reset.
#include "models/iommufd/protocols/igroup.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr Iova kMsiBase{0x8000000};  // MSI_IOVA_BASE: reserved in every ioas

class IgroupPasid final : public IgroupProtocol {
 public:
  IgroupPasid(Context& context, const ProtocolParams& params)
      : IgroupProtocol(context, without_race(params)),
        sw_msi_lock_(machine(), machine().locks().get("ictx->sw_msi_lock", lnx::LockKind::kMutex)),
        sw_msi_pages_(params.sw_msi_pages) {}

  [[nodiscard]] KernelVersion kernel() const override { return linux_version(6, 15); }

 private:
  static ProtocolParams without_race(ProtocolParams params) {
    params.detach_race = false;
    return params;
  }
  Task<void> group_setup_msi(lnx::Thread& t, Hwpt& hwpt) override;

  lnx::Mutex sw_msi_lock_;
  std::uint32_t sw_msi_pages_;
};

// Pages that the hwpt has already are only walked over.
Task<void> IgroupPasid::group_setup_msi(lnx::Thread& t, Hwpt& hwpt) {
  co_await sw_msi_lock_.lock(t);
  t.charge(costs().list_step * static_cast<std::int64_t>(sw_msi_pages_));
  const Bytes size{sw_msi_pages_ * kPage};
  if (hwpt.sw_msi_bytes == 0 && size.value() != 0) {
    const int rc = co_await context().driver().map(t, *hwpt.domain, kMsiBase, size, Bytes{kPage});
    hwpt.sw_msi_bytes = rc == 0 ? size.value() : 0;
  }
  co_await sw_msi_lock_.unlock(t);
}

}  // namespace

std::unique_ptr<Protocol> make_igroup_pasid(Context& context, const ProtocolParams& params) {
  return std::make_unique<IgroupPasid>(context, params);
}

}  // namespace smmulab::iommufd
