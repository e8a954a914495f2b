// SPDX-License-Identifier: Apache-2.0
// One factory per protocol; registry.cpp has the table.
#pragma once

#include <memory>

#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

std::unique_ptr<Protocol> make_v6_2(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_v6_4(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_seed_unordered(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_seed_lock_both(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_ioas_pair(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_posted_v1(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_posted_v2(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_devices_users_1(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_devices_users_2(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_devices_users_3(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_core_group(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_igroup(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_igroup_pasid(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_no_locks(Context& context, const ProtocolParams& params);
std::unique_ptr<Protocol> make_one_lock(Context& context, const ProtocolParams& params);

}  // namespace smmulab::iommufd
