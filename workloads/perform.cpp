// SPDX-License-Identifier: Apache-2.0
#include "workloads/perform.hpp"

namespace smmulab::workloads {

Task<int> perform(iommufd::Iommufd& io, lnx::Thread& t, const Op& op) {
  switch (op.kind) {
    case OpKind::kBind:
      return io.bind(t, op.device);
    case OpKind::kUnbind:
      return io.unbind(t, op.device);
    case OpKind::kIoasAlloc:
      return io.ioas_alloc(t, op.object);
    case OpKind::kIoasDestroy:
      return io.ioas_destroy(t, op.object);
    case OpKind::kHwptAlloc:
      return io.hwpt_alloc(t, op.object, op.device, op.pt, op.flags, op.got);
    case OpKind::kHwptDestroy:
      return io.hwpt_destroy(t, op.object);
    case OpKind::kAttach:
      return io.attach(t, op.device, op.pt);
    case OpKind::kReplace:
      return io.replace(t, op.device, op.pt);
    case OpKind::kDetach:
      return io.detach(t, op.device);
    case OpKind::kMap:
      return io.map(t, op.object, op.iova, op.length);
    case OpKind::kUnmap:
      return io.unmap(t, op.object, op.iova, op.length);
    case OpKind::kUnmapAll:
      return io.unmap_all(t, op.object);
    case OpKind::kAllowIovas:
      return io.allow_iovas(t, op.object, op.iova, op.length);
    case OpKind::kCopy:
      return io.copy(t, {op.pt, op.source}, {op.object, op.iova}, op.length);
    case OpKind::kAccessCreate:
      return io.access_create(t, op.object, (op.flags & kAccessIgnoresUnmap) != 0);
    case OpKind::kAccessDestroy:
      return io.access_destroy(t, op.object);
    case OpKind::kAccessAttach:
      return io.access_attach(t, op.object, op.pt);
    case OpKind::kAccessDetach:
      return io.access_detach(t, op.object);
    case OpKind::kPin:
      return io.pin(t, op.object, op.iova, op.length);
    case OpKind::kUnpin:
      return io.unpin(t, op.object, op.iova, op.length);
    case OpKind::kHwptInvalidate:
      return io.hwpt_invalidate(t, op.object, op.number);
    case OpKind::kSetDirty:
      return io.set_dirty_tracking(t, op.object, op.flags);
    case OpKind::kGetDirty:
      return io.get_dirty_bitmap(t, op.object, op.iova, op.length, op.flags);
    case OpKind::kFaultAlloc:
      return io.fault_alloc(t, op.object);
    case OpKind::kFaultDestroy:
      return io.fault_destroy(t, op.object);
    case OpKind::kAttachPasid:
      return io.attach_pasid(t, op.device, op.number, op.pt);
    case OpKind::kDetachPasid:
      return io.detach_pasid(t, op.device, op.number);
    case OpKind::kMsiPrepare:
      return io.msi_prepare(t, op.device);
    case OpKind::kResetBegin:
      return io.reset_begin(t, op.device);
    case OpKind::kResetDone:
      return io.reset_done(t, op.device);
    case OpKind::kDma:
    case OpKind::kPhase:
      break;
  }
  return [](lnx::Thread& thread, Ps duration) -> Task<int> {
    co_await thread.user(duration);
    co_return 0;
  }(t, op.has_duration() ? op.duration : Ps{0});
}

}  // namespace smmulab::workloads
