// SPDX-License-Identifier: Apache-2.0
// Copy and accesses, from entry to exit.
#include <cerrno>
#include <vector>

#include "models/iommufd/access.hpp"
#include "models/iommufd/iommufd.hpp"

namespace smmulab::iommufd {

Task<Access*> Iommufd::get_access(lnx::Thread& t, ObjectId id) {
  co_return static_cast<Access*>(co_await get_object(t, id, ObjectType::kAccess));
}

// iommufd_ioas_copy(): the two IOASes are looked up one after the other, each for its part.
Task<int> Iommufd::copy(lnx::Thread& t, CopyRange from, CopyRange to, Bytes length) {
  co_await enter(t);
  std::vector<PagesRange> list;
  int rc = -ENOENT;
  if (Ioas* ioas = co_await get_ioas(t, from.ioas)) {
    rc = co_await ioas->iopt.get_pages(t, from.iova, length, &list);
    co_await context_.put(t, *ioas);
  }
  if (rc == 0) {
    Ioas* ioas = co_await get_ioas(t, to.ioas);
    rc = -ENOENT;
    if (ioas != nullptr) {
      rc = co_await ioas->iopt.map_pages(t, to.iova, list);
      co_await context_.put(t, *ioas);
    }
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::access_create(lnx::Thread& t, ObjectId id, bool deaf) {
  co_await enter(t);
  const int rc = co_await context_.add_access(t, id, deaf);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::access_destroy(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  const int rc = co_await context_.destroy_user(t, id, ObjectType::kAccess);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::access_attach(lnx::Thread& t, ObjectId id, ObjectId ioas_id) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Access* access = co_await get_access(t, id)) {
    if (Ioas* ioas = co_await get_ioas(t, ioas_id)) {
      rc = co_await access->attach(t, *ioas);
      co_await context_.put(t, *ioas);
    }
    co_await context_.put(t, *access);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::access_detach(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Access* access = co_await get_access(t, id)) {
    rc = co_await access->detach(t);
    co_await context_.put(t, *access);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::pin(lnx::Thread& t, ObjectId id, Iova iova, Bytes length) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Access* access = co_await get_access(t, id)) {
    rc = co_await access->pin(t, iova, length);
    co_await context_.put(t, *access);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::unpin(lnx::Thread& t, ObjectId id, Iova iova, Bytes length) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Access* access = co_await get_access(t, id)) {
    rc = co_await access->unpin(t, iova, length);
    co_await context_.put(t, *access);
  }
  co_await leave(t);
  co_return rc;
}

}  // namespace smmulab::iommufd
