// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

const char* event_name(Event event) {
  switch (event) {
    case Event::kNone:
      return "none";
    case Event::kUut:
      return "F_UUT";
    case Event::kBadStreamId:
      return "C_BAD_STREAMID";
    case Event::kSteFetch:
      return "F_STE_FETCH";
    case Event::kBadSte:
      return "C_BAD_STE";
    case Event::kBadAtsTreq:
      return "F_BAD_ATS_TREQ";
    case Event::kStreamDisabled:
      return "F_STREAM_DISABLED";
    case Event::kTranslForbidden:
      return "F_TRANSL_FORBIDDEN";
    case Event::kBadSubstreamId:
      return "C_BAD_SUBSTREAMID";
    case Event::kCdFetch:
      return "F_CD_FETCH";
    case Event::kBadCd:
      return "C_BAD_CD";
    case Event::kWalkEabt:
      return "F_WALK_EABT";
    case Event::kTranslation:
      return "F_TRANSLATION";
    case Event::kAddrSize:
      return "F_ADDR_SIZE";
    case Event::kAccess:
      return "F_ACCESS";
    case Event::kPermission:
      return "F_PERMISSION";
    case Event::kTlbConflict:
      return "F_TLB_CONFLICT";
    case Event::kCfgConflict:
      return "F_CFG_CONFLICT";
    case Event::kPageRequest:
      return "E_PAGE_REQUEST";
    case Event::kVmsFetch:
      return "F_VMS_FETCH";
  }
  return "?";
}

}  // namespace smmulab::smmu::hw
