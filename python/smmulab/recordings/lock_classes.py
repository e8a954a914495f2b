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
