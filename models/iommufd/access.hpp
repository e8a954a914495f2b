// SPDX-License-Identifier: Apache-2.0
// Access: a kernel driver's view of an IOAS without an IOMMU domain (mdev): it pins ranges, and is
// told to let go of what user space unmaps. The driver that owns it keeps its pins in a list under
// one lock that it holds across pin and unpin, as the selftest's does and VFIO asks for.
// Rule: Linux 6.12 drivers/iommu/iommufd/device.c iommufd_access_create() ... _unpin_pages(),
// iommufd_access_notify_unmap(); selftest.c iommufd_test_access_pages(). Up to 6.3 there was no
// access->ioas_lock, up to 6.5 no replace.
// Not modelled: iommufd_access_rw(), accesses that do not pin, the data that is accessed.
#pragma once

#include <cstdint>
#include <vector>

#include "models/iommufd/objects.hpp"

namespace smmulab::iommufd {

class Context;

struct Access final : Object {
  struct Pin {
    Iova iova;
    Bytes length;
  };

  // `deaf`: its unmap callback lets go of nothing (hazard H10).
  Access(Context& owner, ObjectId object_id, bool deaf_to_unmap);

  // Each gives 0 or a negative errno. The caller holds a reference.
  // Attached already: moves to the other ioas (-EBUSY before 6.6).
  Task<int> attach(lnx::Thread& t, Ioas& to);
  Task<int> detach(lnx::Thread& t);
  Task<int> pin(lnx::Thread& t, Iova iova, Bytes length);
  // -ENOENT: there is no such pin, perhaps any more.
  Task<int> unpin(lnx::Thread& t, Iova iova, Bytes length);
  // The object's destroy operation.
  Task<void> destroy(lnx::Thread& t);
  // Some of its ioas is being unmapped.
  Task<void> notify_unmap(lnx::Thread& t, std::uint64_t start, std::uint64_t last);

  Context& context;
  lnx::Mutex ioas_lock;
  Ioas* ioas = nullptr;        // pins go there
  Ioas* ioas_unpin = nullptr;  // unpins still do
  lnx::Mutex pins_lock;        // of the driver
  std::vector<Pin> pins;
  bool deaf;

 private:
  // iommufd_access_change_ioas(). REQUIRES: ioas_lock is held.
  Task<int> change_ioas(lnx::Thread& t, Ioas* to);
  Task<void> lock(lnx::Thread& t);
  Task<void> unlock(lnx::Thread& t);
  // The driver's unmap callback.
  Task<void> let_go(lnx::Thread& t, std::uint64_t start, std::uint64_t last);
  Task<void> unpin_pages(lnx::Thread& t, const Pin& pin);
};

}  // namespace smmulab::iommufd
