# SPDX-License-Identifier: Apache-2.0
"""Names of lock classes: what the recorded kernel calls them, and what we call them."""

from __future__ import annotations

# lockdep's class name (kernel B of the recordings, Linux 6.12) -> our name
KERNEL_NAMES = {
    "&new_dev_set->lock": "dev_set->lock",
    "&ioas->mutex": "ioas->mutex",
    "&new_igroup->lock": "igroup->lock",
    "&group->mutex": "group->mutex",
    "&iopt->domains_rwsem": "domains_rwsem",
    "&iopt->iova_rwsem": "iova_rwsem",
    "&pages->mutex": "pages->mutex",
    "&smmu_domain->init_mutex": "init_mutex",
    "arm_smmu_asid_lock": "asid_lock",
    "arm_smmu_asid_xa.xa_lock": "asid_xa.xa_lock",
    "&smmu_domain->devices_lock": "devices_lock",
    "&xa->xa_lock": "xa_lock",
}

# `xa_lock` is one lockdep class for every xarray set up by xa_init: which one is told by address,
# and the address by where it is taken (lockdep_log.py)
XARRAYS = {
    "objects.xa_lock": "ictx->objects: object ids of the fd",
    "groups.xa_lock": "ictx->groups: iommufd_group of each iommu group",
    "pasid_array.xa_lock": "iommu_group->pasid_array: attach handles",
    "domains.xa_lock": "iopt->domains: domains linked to the ioas",
}

KIND_OF_LOCK = {
    "dev_set->lock": "M",
    "ioas->mutex": "M",
    "igroup->lock": "M",
    "group->mutex": "M",
    "pages->mutex": "M",
    "init_mutex": "M",
    "asid_lock": "M",
    "asid_xa.xa_lock": "S",
    "devices_lock": "S",
    "xa_lock": "S",
    "objects.xa_lock": "S",
    "groups.xa_lock": "S",
    "pasid_array.xa_lock": "S",
    "domains.xa_lock": "S",
}
RWSEMS = frozenset({"domains_rwsem", "iova_rwsem"})

# Recorded but no part of a lock protocol: a mutex's own spinlock (there only when it was
# contended), the process's memory map, and the CPU's ASID allocator (context switches).
DROPPED_SUFFIX = ".wait_lock"
DROPPED = frozenset({"&mm->mmap_lock", "cpu_asid_lock"})


def is_dropped(kernel_name: str) -> bool:
    """True for a recorded class that the sequences leave out."""
    return kernel_name in DROPPED or kernel_name.endswith(DROPPED_SUFFIX)


# Function that releases a mutex -> our name: how run A_la_smp2 (addresses and callers, no names)
# tells the static locks of the kernel that A_ev_smp2 also ran.
RELEASED_BY = {
    "arm_smmu_attach_dev_ste": "asid_lock",
    "arm_smmu_domain_finalise_s1": "asid_lock",
    "arm_smmu_domain_free_paging": "asid_lock",
}

# Function that takes a mutex -> our name: how a trace with stacks (SHAPE.contention_stacks.txt) tells
# its class. Inlined callees count as their caller. arm_smmu_attach_dev takes two: the one in the
# kernel's image is the asid_lock [Linux 6.12 drivers/iommu/iommufd, arm-smmu-v3.c, iommu.c, vfio].
TAKEN_BY = {
    "vfio_df_ioctl_attach_pt": "dev_set->lock",
    "vfio_df_ioctl_detach_pt": "dev_set->lock",
    "vfio_df_ioctl_bind_iommufd": "dev_set->lock",
    "iommufd_device_change_pt": "ioas->mutex",
    "iommufd_device_auto_get_domain": "ioas->mutex",
    "iommufd_hwpt_alloc": "ioas->mutex",
    "iommufd_hwpt_paging_destroy": "ioas->mutex",
    "iommufd_hw_pagetable_put": "ioas->mutex",
    "iommufd_device_do_replace": "igroup->lock",
    "iommufd_hw_pagetable_attach": "igroup->lock",
    "iommufd_hw_pagetable_detach": "igroup->lock",
    "iommu_attach_group_handle": "group->mutex",
    "iommu_replace_group_handle": "group->mutex",
    "iommu_detach_group_handle": "group->mutex",
    "iommu_attach_group": "group->mutex",
    "iommu_group_replace_domain": "group->mutex",
    "iommu_detach_group": "group->mutex",
    "arm_smmu_attach_dev": "init_mutex",
    "arm_smmu_attach_dev_ste": "asid_lock",
    "arm_smmu_domain_finalise_s1": "asid_lock",
    "arm_smmu_domain_free_paging": "asid_lock",
}
# The functions of the mutex itself, between the tracepoint and the one that takes it.
MUTEX_FUNCTIONS = ("__mutex_lock", "mutex_lock", "__ww_mutex_lock")
