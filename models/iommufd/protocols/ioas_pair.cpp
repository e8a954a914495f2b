// SPDX-License-Identifier: Apache-2.0
// The seed thread's closing question: then hold two ioas->mutex in addition to the two device
// locks? Every replace takes both ioas->mutex in address order (one if the IOASes are the same),
// then both devices_lock in address order. Rule: reference locking.md section 7.B, last lines of
// "Thread facts" (R1). Not modelled: as hwpt_replace.hpp.
#include "models/iommufd/protocols/hwpt_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {

std::unique_ptr<Protocol> make_ioas_pair(Context& context, const ProtocolParams& params) {
  return std::make_unique<HwptReplaceProtocol>(context, params);
}

}  // namespace smmulab::iommufd
