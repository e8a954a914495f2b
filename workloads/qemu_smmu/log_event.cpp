// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/log_event.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace smmulab::workloads::qemu {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || c == '_';
}

// The number at the front of `text`, a minus sign wraps around.
std::optional<std::uint64_t> number_at(std::string_view text) {
  while (!text.empty() && text.front() == ' ') {
    text.remove_prefix(1);
  }
  const bool negative = !text.empty() && text.front() == '-';
  text.remove_prefix(negative ? 1 : 0);
  const bool hex = text.substr(0, 2) == "0x";
  text.remove_prefix(hex ? 2 : 0);
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  // A number that runs into letters was cut or written over.
  const bool whole = end == text.data() + text.size() || !(is_word(*end) || *end == 'x');
  if (error != std::errc{} || !whole) {
    return std::nullopt;
  }
  return negative ? ~value + 1 : value;
}

// Reads fields of one line; remembers whether one that was asked for is missing.
class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {}
  [[nodiscard]] bool complete() const { return complete_; }

  std::optional<std::uint64_t> find(std::string_view name) const {
    for (std::size_t at = text_.find(name); at != std::string_view::npos;
         at = text_.find(name, at + 1)) {
      const std::size_t after = at + name.size();
      const bool begins = at == 0 || !(is_word(text_[at - 1]) || text_[at - 1] == '.');
      if (begins && after < text_.size() && (text_[after] == '=' || text_[after] == ':')) {
        return number_at(text_.substr(after + 1));
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] bool has(std::string_view text) const {
    return text_.find(text) != std::string_view::npos;
  }
  std::uint64_t need(std::string_view name) {
    const auto value = find(name);
    complete_ = complete_ && value.has_value();
    return value.value_or(0);
  }
  std::uint8_t need_small(std::string_view name, std::uint64_t most) {
    const std::uint64_t value = need(name);
    complete_ = complete_ && value <= most;
    return static_cast<std::uint8_t>(std::min(value, most));
  }

 private:
  std::string_view text_;
  bool complete_ = true;
};

using Reader = void (*)(Fields& fields, LogEvent& event);
struct Known {
  std::string_view name;
  LogKind kind;
  Reader read;
};

void read_sid(Fields& f, LogEvent& e) {
  e.sid = f.need("sid");
}
void read_nothing(Fields&, LogEvent&) {}
void read_tags(Fields& f, LogEvent& e) {
  e.asid = f.need("asid") & 0xFFFF;
  e.vmid = f.find("vmid").value_or(0) & 0xFFFF;
  e.vmid = e.vmid == 0xFFFF ? 0 : e.vmid;  // -1: no stage 2
  e.address = f.need("addr");
}
void read_access(Fields& f, LogEvent& e) {
  e.sid = f.need("sid");
  e.address = f.need("iova");
  e.flag = f.find("is_write").value_or(0) != 0;
}
void read_pte(Fields& f, LogEvent& e) {
  e.stage = static_cast<std::uint8_t>(f.find("stage").value_or(1));
  e.level = f.need_small("level", 3);
  e.value = f.need("pte");
}

constexpr Known kKnown[] = {
    {"smmuv3_config_cache_hit", LogKind::kConfigHit, read_sid},
    {"smmuv3_config_cache_miss", LogKind::kConfigMiss, read_sid},
    {"smmuv3_find_ste", LogKind::kFindSte,
     [](Fields& f, LogEvent& e) {
       e.sid = f.need("sid");
       e.number = f.need_small("sid_split", 31);
     }},
    {"smmuv3_find_ste_2lvl", LogKind::kFindSte2Level,
     [](Fields& f, LogEvent& e) {
       e.address = f.need("l1ptr");
       e.sid = f.need("l1_off");
       e.value = f.need("l2ptr");
       e.last = f.need("l2_off");
     }},
    {"smmuv3_get_ste", LogKind::kGetSte,
     [](Fields& f, LogEvent& e) { e.address = f.need("addr"); }},
    {"smmuv3_get_cd", LogKind::kGetCd, [](Fields& f, LogEvent& e) { e.address = f.need("addr"); }},
    {"smmuv3_decode_cd", LogKind::kDecodeCd,
     [](Fields& f, LogEvent& e) { e.number = f.need_small("oas", 52); }},
    {"smmuv3_decode_cd_tt", LogKind::kDecodeCdTt,
     [](Fields& f, LogEvent& e) {
       e.level = f.need_small("tsz", 63);
       e.number = f.has("TT[1]") ? 1 : 0;
       e.value = f.need("ttb");
       e.granule = f.need_small("granule_sz", 16);
     }},
    {"smmu_iotlb_lookup_hit", LogKind::kIotlbHit, read_tags},
    {"smmu_iotlb_lookup_miss", LogKind::kIotlbMiss, read_tags},
    {"smmu_get_pte", LogKind::kGetPte,
     [](Fields& f, LogEvent& e) {
       e.address = f.need("pteaddr");
       e.value = f.need("pte");
       e.last = f.need("baseaddr");
     }},
    {"smmu_ptw_level", LogKind::kPtwLevel, read_pte},
    {"smmu_ptw_invalid_pte", LogKind::kPtwInvalid, read_pte},
    {"smmu_ptw_page_pte", LogKind::kPtwPage, read_pte},
    {"smmu_ptw_block_pte", LogKind::kPtwBlock, read_pte},
    {"smmu_iotlb_insert", LogKind::kIotlbInsert,
     [](Fields& f, LogEvent& e) {
       read_tags(f, e);
       e.granule = f.need_small("tg", 3);
       e.level = f.need_small("level", 3);
     }},
    {"smmuv3_translate_success", LogKind::kSuccess,
     [](Fields& f, LogEvent& e) {
       e.sid = f.need("sid");
       e.address = f.need("iova");
       e.value = f.need("translated");
       e.number = f.need_small("perm", 3);
     }},
    {"smmuv3_translate_bypass", LogKind::kBypass, read_access},
    {"smmuv3_translate_abort", LogKind::kAbort, read_access},
    {"smmuv3_translate_disable", LogKind::kDisabled, read_access},
    {"smmuv3_record_event", LogKind::kRecordEvent, read_sid},
    {"smmuv3_cmdq_opcode", LogKind::kOpcode, read_nothing},
    {"smmuv3_cmdq_cfgi_ste", LogKind::kCfgiSte,
     [](Fields& f, LogEvent& e) { e.sid = f.need("streamid"); }},
    {"smmuv3_cmdq_cfgi_ste_range", LogKind::kCfgiSteRange,
     [](Fields& f, LogEvent& e) {
       e.sid = f.need("start");
       e.last = f.need("end");
     }},
    {"smmuv3_cmdq_cfgi_cd", LogKind::kCfgiCd, read_sid},
    {"smmuv3_cmdq_tlbi_nh", LogKind::kTlbiNh,
     [](Fields& f, LogEvent& e) { e.vmid = f.find("vmid").value_or(0) & 0xFFFF; }},
    {"smmuv3_cmdq_tlbi_nh_asid", LogKind::kTlbiNhAsid,
     [](Fields& f, LogEvent& e) { e.asid = f.need("asid") & 0xFFFF; }},
    {"smmuv3_s1_range_inval", LogKind::kRangeInval,
     [](Fields& f, LogEvent& e) {
       const std::uint64_t asid = f.need("asid");
       e.flag = asid > 0xFFFF;  // -1: any
       e.asid = asid & 0xFFFF;
       e.vmid = f.find("vmid").value_or(0) & 0xFFFF;
       e.vmid = e.vmid == 0xFFFF ? 0 : e.vmid;
       e.address = f.need("addr");
       e.granule = f.need_small("tg", 3);
       e.last = f.need("num_pages");
       e.level = f.need_small("ttl", 3);
       e.number = f.need_small("leaf", 1);
       e.stage = static_cast<std::uint8_t>(f.find("stage").value_or(1));
     }},
    {"smmu_iotlb_inv_all", LogKind::kInvAll, read_nothing},
    {"smmu_iotlb_inv_asid", LogKind::kInvAsid,
     [](Fields& f, LogEvent& e) { e.asid = f.need("asid") & 0xFFFF; }},
    {"smmu_iotlb_inv_vmid", LogKind::kInvVmid,
     [](Fields& f, LogEvent& e) { e.vmid = f.need("vmid") & 0xFFFF; }},
    {"smmu_iotlb_inv_iova", LogKind::kInvIova, read_nothing},
};

// Names that later versions gave to events known above.
std::string_view older_name(std::string_view name) {
  if (name == "smmuv3_range_inval") {
    return "smmuv3_s1_range_inval";
  }
  if (name == "smmu_iotlb_inv_asid_vmid") {
    return "smmu_iotlb_inv_asid";
  }
  if (name == "smmuv3_cmdq_tlbi_nsnh") {
    return "smmuv3_cmdq_tlbi_nh";
  }
  if (name == "smmu_iotlb_inv_vmid_s1") {
    return "smmu_iotlb_inv_vmid";
  }
  return name;
}

// "PID@SECONDS.MICROSECONDS:" at the end of `prefix`, if it is there.
void read_prefix(std::string_view prefix, LogEvent& event) {
  const std::size_t at = prefix.rfind('@');
  if (at == std::string_view::npos) {
    return;
  }
  std::size_t first = at;
  while (first > 0 && is_digit(prefix[first - 1])) {
    --first;
  }
  event.thread = number_at(prefix.substr(first, at - first)).value_or(0);
  const std::string_view time = prefix.substr(at + 1);
  const std::size_t dot = time.find('.');
  if (dot != std::string_view::npos) {
    const std::size_t colon = std::min(time.find(':', dot), time.size());
    event.time_us = number_at(time.substr(0, dot)).value_or(0) * 1'000'000 +
                    number_at(time.substr(dot + 1, colon - dot - 1)).value_or(0);
  }
}

// Where the event's name begins: "smmu" that no other word runs into.
std::size_t find_name(std::string_view line) {
  for (std::size_t at = line.find("smmu"); at != std::string_view::npos;
       at = line.find("smmu", at + 1)) {
    if (at == 0 || line[at - 1] == ':' || line[at - 1] == ' ') {
      return at;
    }
  }
  return std::string_view::npos;
}

}  // namespace

LogEvent parse_log_line(std::string_view line) {
  LogEvent event;
  const std::size_t begin = find_name(line);
  if (begin == std::string_view::npos) {
    return event;
  }
  std::size_t end = begin;
  while (end < line.size() && is_word(line[end])) {
    ++end;
  }
  const std::string_view name = older_name(line.substr(begin, end - begin));
  if (name.substr(0, 5) != "smmu_" && name.substr(0, 7) != "smmuv3_") {
    return event;
  }
  read_prefix(line.substr(0, begin), event);
  event.kind = LogKind::kOther;
  const auto* const known = std::ranges::find(kKnown, name, &Known::name);
  if (known == std::end(kKnown)) {
    return event;
  }
  event.kind = known->kind;
  const std::string_view rest = line.substr(std::min(end + 1, line.size()));
  Fields fields(rest);
  known->read(fields, event);
  if (event.kind == LogKind::kOpcode || event.kind == LogKind::kRecordEvent) {
    // "<--- SMMU_CMD_SYNC"; "SMMU_EVT_F_TRANSLATION sid=0x8"
    const std::size_t from = rest.find("SMMU_");
    event.text = from == std::string_view::npos ? std::string_view{} : rest.substr(from);
    event.text = event.text.substr(0, event.text.find(' '));
    if (event.text.empty()) {
      event.kind = event.kind == LogKind::kOpcode ? LogKind::kDamaged : event.kind;
      event.text = rest.substr(0, rest.find(' '));
    }
  }
  if (!fields.complete()) {
    event.kind = LogKind::kDamaged;
  }
  return event;
}

}  // namespace smmulab::workloads::qemu
