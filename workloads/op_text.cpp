// SPDX-License-Identifier: Apache-2.0
#include "workloads/op_text.hpp"

#include <iterator>
#include <limits>

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kMaxObjectId = 0x7fffffff;  // xa_limit_31b; the rest is for automatic hwpts
constexpr std::uint64_t kMaxErrno = 4095;           // MAX_ERRNO of the kernel

ObjectId parse_id(const Lexer& lexer, const Token& value, std::string_view what) {
  const std::uint32_t id = parse_u32(lexer, value, what);
  if (id == 0) {
    lexer.fail(value, fmt::format("{}: 0 is out of range (object ids start at 1)", what));
  }
  if (id > kMaxObjectId) {
    lexer.fail(value, fmt::format("{}: {} is out of range (object ids end at {}, xa_limit_31b)",
                                  what, id, kMaxObjectId));
  }
  return ObjectId{id};
}

std::int16_t parse_ret(const Lexer& lexer, const Token& value) {
  Token digits = value;
  if (!digits.text.starts_with('-')) {
    if (parse_number(lexer, value, "ret", kMaxU64) != 0) {
      lexer.fail(value, fmt::format("ret: {} is out of range (0 or -errno)", value.text));
    }
    return 0;
  }
  digits.text.remove_prefix(1);
  digits.column += 1;
  return static_cast<std::int16_t>(
      -static_cast<int>(parse_number(lexer, digits, "errno in ret", kMaxErrno)));
}

void set_field(const Lexer& lexer, Key key, const Token& value, Op& op) {
  const std::string_view what = key_name(key);
  switch (key) {
    case Key::kHwpt:
    case Key::kAccess:
      op.object = parse_id(lexer, value, what);
      break;
    case Key::kIoas:
      (op.kind == OpKind::kAccessAttach ? op.pt : op.object) = parse_id(lexer, value, what);
      break;
    case Key::kDev:
      op.device = DeviceIndex{parse_u32(lexer, value, what)};
      break;
    case Key::kFault:
      (op.kind == OpKind::kHwptAlloc ? op.got : op.object) = parse_id(lexer, value, what);
      break;
    case Key::kPasid:
    case Key::kCount:
      op.number = parse_u32(lexer, value, what);
      break;
    case Key::kPt:
    case Key::kSrc:
      op.pt = parse_id(lexer, value, what);
      break;
    case Key::kOld:
      op.old = parse_id(lexer, value, what);
      break;
    case Key::kGot:
      op.got = parse_id(lexer, value, what);
      break;
    case Key::kFrom:
      op.source = Iova{parse_number(lexer, value, what, kMaxU64)};
      break;
    case Key::kIova:
      op.iova = Iova{parse_number(lexer, value, what, kMaxU64)};
      break;
    case Key::kLen:
      op.length = Bytes{parse_number(lexer, value, what, kMaxU64)};
      break;
    case Key::kFlags:
      op.flags = parse_u32(lexer, value, what);
      break;
    case Key::kRet:
      op.ret = parse_ret(lexer, value);
      break;
    case Key::kDur:
      op.duration = parse_nanoseconds(lexer, value, what);
      break;
  }
}

void parse_fields(Lexer& lexer, Op& op, OpColumns& columns) {
  const OpSpec& spec = op_spec(op.kind);
  const auto allowed = static_cast<KeyMask>(spec.required | spec.optional);
  KeyMask seen = 0;
  Token word;
  while (lexer.next(word)) {
    Token name;
    Token value;
    split_field(lexer, word, name, value);
    const std::optional<Key> key = find_key(name.text);
    if (!key || (bit(*key) & allowed) == 0) {
      lexer.fail(name, fmt::format("{} takes no key '{}'{}", spec.name, name.text,
                                   suggest_key(name.text, allowed)));
    }
    if ((seen & bit(*key)) != 0) {
      lexer.fail(name, fmt::format("duplicate key '{}'", name.text));
    }
    seen = static_cast<KeyMask>(seen | bit(*key));
    columns.value[static_cast<std::size_t>(*key)] = value.column;
    set_field(lexer, *key, value, op);
  }
  const unsigned missing = spec.required & ~static_cast<unsigned>(seen);
  for (std::size_t i = 0; i < kKeys; ++i) {
    if ((missing & bit(static_cast<Key>(i))) != 0) {
      lexer.fail(lexer.end(),
                 fmt::format("{}: missing key '{}'", spec.name, key_name(static_cast<Key>(i))));
    }
  }
}

}  // namespace

void parse_op(Lexer& lexer, Op& op, OpColumns& columns) {
  op = Op{};
  op.line = lexer.place().line;
  columns = OpColumns{};
  const Token issue = lexer.expect("the issue time in ns");
  columns.issue = issue.column;
  op.issue = SimTime{parse_nanoseconds(lexer, issue, "issue time")};
  const Token thread = lexer.expect("the number of the thread");
  columns.thread = thread.column;
  op.thread = ThreadIndex{parse_u32(lexer, thread, "thread")};
  const Token name = lexer.expect("an operation");
  columns.name = name.column;
  const std::optional<OpKind> kind = find_op(name.text);
  if (!kind) {
    lexer.fail(name, fmt::format("unknown operation '{}'{}", name.text, suggest_op(name.text)));
  }
  op.kind = *kind;
  parse_fields(lexer, op, columns);
}

void append_op(std::string& out, const Op& op) {
  const OpSpec& spec = op_spec(op.kind);
  const unsigned keys = static_cast<unsigned>(spec.required) | spec.optional;
  const auto takes = [&](Key k) { return (keys & bit(k)) != 0; };
  auto to = std::back_inserter(out);
  append_nanoseconds(out, op.issue.time_since_epoch());
  fmt::format_to(to, " {} {}", op.thread.value(), spec.name);
  const auto id = [&](Key key, ObjectId value) {
    if (takes(key) && value != kNoObject) {
      fmt::format_to(to, " {}={}", key_name(key), value.value());
    }
  };
  id(Key::kHwpt, op.object);
  id(Key::kAccess, op.object);
  id(Key::kFault, op.kind == OpKind::kHwptAlloc ? op.got : op.object);
  id(Key::kIoas, op.kind == OpKind::kAccessAttach ? op.pt : op.object);
  if (takes(Key::kDev)) {
    fmt::format_to(to, " dev={}", op.device.value());
  }
  if (takes(Key::kPasid)) {
    fmt::format_to(to, " pasid={}", op.number);
  }
  id(Key::kPt, op.pt);
  id(Key::kOld, op.old);
  id(Key::kGot, op.got);
  id(Key::kSrc, op.pt);
  if (takes(Key::kFrom)) {
    fmt::format_to(to, " from={:#x}", op.source.value());
  }
  if (takes(Key::kIova)) {
    fmt::format_to(to, " iova={:#x} len={}", op.iova.value(), op.length.value());
  }
  if (takes(Key::kCount)) {
    fmt::format_to(to, " count={}", op.number);
  }
  if (takes(Key::kFlags) && op.flags != 0) {
    fmt::format_to(to, " flags={:#x}", op.flags);
  }
  if (op.has_ret()) {
    fmt::format_to(to, " ret={}", op.ret);
  }
  if (op.has_duration()) {
    out += " dur=";
    append_nanoseconds(out, op.duration);
  }
  out += '\n';
}

std::string op_label(const Op& op) {
  const OpSpec& spec = op_spec(op.kind);
  std::string label(spec.name);
  const auto add = [&](Key key, std::uint32_t value) {
    if ((spec.required & bit(key)) != 0) {
      label += fmt::format(" {}={}", key_name(key), value);
    }
  };
  add(Key::kHwpt, op.object.value());
  add(Key::kAccess, op.object.value());
  add(Key::kFault, op.object.value());
  add(Key::kIoas, op.kind == OpKind::kAccessAttach ? op.pt.value() : op.object.value());
  add(Key::kDev, op.device.value());
  add(Key::kPasid, op.number);
  add(Key::kPt, op.pt.value());
  add(Key::kSrc, op.pt.value());
  return label;
}

}  // namespace smmulab::workloads
