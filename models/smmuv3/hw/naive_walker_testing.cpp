// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/naive_walker_testing.hpp"

#include <algorithm>

namespace smmulab::smmu::hw::testing {
namespace {

constexpr unsigned kTranslation = 0x10, kAddrSize = 0x11, kAccess = 0x12, kPermission = 0x13;

std::uint64_t bits(std::uint64_t word, unsigned high, unsigned low) {
  return word << (63 - high) >> (63 - high + low);
}
unsigned size_of(std::uint64_t code, unsigned oas, bool k64) {
  const unsigned sizes[8] = {32, 36, 40, 42, 44, 48, 52, 52};
  const unsigned cap = k64 || oas < 48 ? oas : 48;
  return std::min(sizes[code], cap);
}

}  // namespace

std::uint64_t NaiveWalker::read(std::uint64_t pa) {
  ++result_.reads;
  const auto written = result_.writes.find(pa);
  return written != result_.writes.end() ? written->second : memory_.peek64(pa);
}

NaiveWalker::Page NaiveWalker::stage2(std::uint64_t ipa, NaiveAccess access) {
  Page page;
  const unsigned page_bits[4] = {12, 16, 14, 0};
  const unsigned shift = page_bits[bits(ste_[2], 47, 46)];
  const unsigned stride = shift - 3;
  const unsigned ia = 64 - static_cast<unsigned>(bits(ste_[2], 37, 32));
  const unsigned ps = size_of(bits(ste_[2], 50, 48), oas_, shift == 16);
  const bool ha = bits(ste_[2], 56, 56) != 0;
  const bool hd = ha && bits(ste_[2], 55, 55) != 0;
  const bool affd = bits(ste_[2], 53, 53) != 0;
  if (ia < 64 && ipa >> ia != 0) {
    page.event = kTranslation;
    return page;
  }
  int level = (shift == 12 ? 2 : 3) - static_cast<int>(bits(ste_[2], 39, 38));
  std::uint64_t table = ste_[3] & 0x000FFFFFFFFFFFF0;
  bool root = true;
  while (true) {
    const unsigned low = shift + stride * static_cast<unsigned>(3 - level);
    const unsigned high = root ? ia : low + stride;
    if (root) {
      table -= table % (std::uint64_t{8} << (ia - low));
    }
    root = false;
    const std::uint64_t at = table + 8 * bits(ipa, high - 1, low);
    const std::uint64_t d = read(at);
    const bool may_block = level == 2 || (level == 1 && (shift == 12 || (shift == 16 && ps == 52)));
    if ((d & 1) == 0 || (level == 3 && (d & 2) == 0) || ((d & 2) == 0 && level < 3 && !may_block)) {
      page.event = kTranslation;
      return page;
    }
    const std::uint64_t top = shift == 16 ? bits(d, 15, 12) << 48 : 0;
    if (level < 3 && (d & 2) != 0) {
      table = top + (bits(d, 47, shift) << shift);
      if (ps < 64 && table >> ps != 0) {
        page.event = kAddrSize;
        return page;
      }
      ++level;
      continue;
    }
    page.out = top + (bits(d, 47, low) << low) + (ipa & ((std::uint64_t{1} << low) - 1));
    page.reach = low;
    if (d >> 52 & 1) {
      page.reach += shift == 12   ? 4U
                    : shift == 14 ? (level == 3   ? 7U
                                     : level == 2 ? 5U
                                                  : 0U)
                                  : (level >= 2 ? 5U : 0U);
    }
    if (page.out >> ps != 0) {
      page.event = kAddrSize;
      return page;
    }
    std::uint64_t now = d;
    if ((d >> 10 & 1) == 0) {
      if (ha) {
        now |= 1ULL << 10;
      } else if (!affd) {
        page.event = kAccess;
        return page;
      }
    }
    bool r = (d >> 6 & 1) != 0;
    bool w = (d >> 7 & 1) != 0;
    if (access.write && !w && hd && (d >> 51 & 1) != 0) {
      w = true;
      now |= 1ULL << 7;
    }
    const bool x = r && (d >> 54 & 1) == 0;
    if (access.write ? !w : access.instruction ? !x : !r) {
      page.event = kPermission;
      return page;
    }
    page.writable = w;
    if (now != d) {
      result_.writes[at] = now;
    }
    return page;
  }
}

NaiveWalker::Page NaiveWalker::stage1(std::uint64_t va, NaiveAccess access) {
  Page page;
  const unsigned strw = static_cast<unsigned>(bits(ste_[1], 31, 30));
  const bool el2 = !s2_on() && strw == 2;
  const bool upper = !el2 && (va >> 55 & 1) != 0;
  const unsigned granules0[4] = {12, 16, 14, 0};
  const unsigned granules1[4] = {0, 14, 12, 16};
  const unsigned shift = upper ? granules1[bits(cd_[0], 23, 22)] : granules0[bits(cd_[0], 7, 6)];
  const unsigned tsz = static_cast<unsigned>(upper ? bits(cd_[0], 21, 16) : bits(cd_[0], 5, 0));
  const bool epd = (cd_[0] >> (upper ? 30 : 14) & 1) != 0;
  const bool tbi = (cd_[0] >> (upper ? 39 : 38) & 1) != 0;
  const bool had = (cd_[upper ? 2 : 1] >> 1 & 1) != 0;
  const bool ha = (cd_[0] >> 43 & 1) != 0;
  const bool hd = ha && (cd_[0] >> 42 & 1) != 0;
  const bool affd = (cd_[0] >> 35 & 1) != 0;
  const unsigned ia = 64 - tsz;
  if (epd) {
    page.event = kTranslation;
    return page;
  }
  for (unsigned b = ia; b <= (tbi ? 55U : 63U); ++b) {
    if ((va >> b & 1) != (upper ? 1U : 0U)) {
      page.event = kTranslation;
      return page;
    }
  }
  const unsigned ips = size_of(bits(cd_[0], 34, 32), oas_, shift == 16);
  const unsigned stride = shift - 3;
  int level = 3;
  while (shift + stride * static_cast<unsigned>(4 - level) < ia) {
    --level;
  }
  std::uint64_t table = cd_[upper ? 2 : 1] & 0x000FFFFFFFFFFFF0;
  bool root = true;
  bool table_ro = false, table_nouser = false, table_uxn = false, table_pxn = false;
  while (true) {
    const unsigned low = shift + stride * static_cast<unsigned>(3 - level);
    const unsigned high = root ? ia : low + stride;
    if (root && table % (std::uint64_t{8} << (ia - low)) != 0) {
      table -= table % (std::uint64_t{8} << (ia - low));
    }
    root = false;
    const std::uint64_t at = table + 8 * bits(va, high - 1, low);
    std::uint64_t pa = at;
    Page under;
    if (s2_on()) {
      under = stage2(at, {false, true, false});
      if (under.event != 0) {
        result_.event = under.event;
        result_.s2 = true;
        result_.cls = 1;
        result_.ipa = at;
        return under;
      }
      pa = under.out;
    }
    const std::uint64_t d = read(pa);
    const bool may_block =
        level == 2 || (level == 1 && (shift == 12 || (shift == 16 && ips == 52)));
    if ((d & 1) == 0 || (level == 3 && (d & 2) == 0) || ((d & 2) == 0 && level < 3 && !may_block)) {
      page.event = kTranslation;
      return page;
    }
    const std::uint64_t top = shift == 16 ? bits(d, 15, 12) << 48 : 0;
    if (level < 3 && (d & 2) != 0) {
      table = top + (bits(d, 47, shift) << shift);
      if (table >> ips != 0) {
        page.event = kAddrSize;
        return page;
      }
      if (!had) {
        table_pxn |= (d >> 59 & 1) != 0;
        table_uxn |= (d >> 60 & 1) != 0;
        table_nouser |= (d >> 61 & 1) != 0;
        table_ro |= (d >> 62 & 1) != 0;
      }
      ++level;
      continue;
    }
    page.out = top + (bits(d, 47, low) << low) + (va & ((std::uint64_t{1} << low) - 1));
    page.reach = low;
    if (d >> 52 & 1) {
      page.reach += shift == 12   ? 4U
                    : shift == 14 ? (level == 3   ? 7U
                                     : level == 2 ? 5U
                                                  : 0U)
                                  : (level >= 2 ? 5U : 0U);
    }
    if (page.out >> ips != 0) {
      page.event = kAddrSize;
      return page;
    }
    std::uint64_t now = d;
    if ((d >> 10 & 1) == 0) {
      if (ha) {
        now |= 1ULL << 10;
      } else if (!affd) {
        page.event = kAccess;
        return page;
      }
    }
    bool leaf_ro = (d >> 7 & 1) != 0;
    if (access.write && leaf_ro && hd && (d >> 51 & 1) != 0) {
      leaf_ro = false;
      now &= ~(1ULL << 7);
    }
    const bool ro = leaf_ro || table_ro;
    const bool user = el2 || ((d >> 6 & 1) != 0 && !table_nouser);
    const bool uxn = (d >> 54 & 1) != 0 || table_uxn;
    const bool pxn = (d >> 53 & 1) != 0 || table_pxn;
    bool allowed = true;
    if (access.write) {
      allowed = !ro && (access.privileged || user);
    } else if (access.instruction) {
      allowed = el2 ? !uxn : access.privileged ? !pxn && !(user && !ro) : !uxn;
    } else {
      allowed = access.privileged || user;
    }
    if (!allowed) {
      page.event = kPermission;
      return page;
    }
    if (now != d) {
      if (s2_on() && !under.writable) {
        const Page again = stage2(at, {true, true, false});
        if (again.event != 0) {
          result_.event = again.event;
          result_.s2 = true;
          result_.cls = 1;
          result_.ipa = at;
          return again;
        }
      }
      result_.writes[pa] = now;
    }
    return page;
  }
}

NaiveResult NaiveWalker::translate(std::uint64_t va, NaiveAccess access) {
  result_ = NaiveResult{};
  Page page;
  page.out = va;
  page.reach = 64;
  if ((ste_[0] >> 1 & 1) != 0) {
    page = stage1(va, access);
    if (page.event != 0) {
      result_.event = page.event;  // stage 2's own faults have set the rest
      return result_;
    }
  }
  if (s2_on()) {
    const std::uint64_t ipa = page.out;
    result_.intermediate = ipa;
    const unsigned before = page.reach;
    page = stage2(ipa, access);
    if (page.event != 0) {
      result_.event = page.event;
      result_.s2 = true;
      result_.ipa = ipa;
      return result_;
    }
    page.reach = std::min(page.reach, before);
  }
  result_.pa = page.out;
  result_.reach = page.reach;
  return result_;
}

}  // namespace smmulab::smmu::hw::testing
