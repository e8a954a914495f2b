// SPDX-License-Identifier: Apache-2.0
// The seed thread's closing question: then hold two ioas->mutex in addition to the two device
// locks? Every replace takes both ioas->mutex in address order (one if the IOASes are the same),
// then both devices_lock in address order. Rule: the last question of N. Chen in the
// thread of seed_unordered.cpp. Not modelled: as hwpt_replace.hpp.
#include "models/iommufd/protocols/hwpt_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {

std::unique_ptr<Protocol> make_ioas_pair(Context& context, const ProtocolParams& params) {
  return std::make_unique<HwptReplaceProtocol>(context, params);
}

}  // namespace smmulab::iommufd
