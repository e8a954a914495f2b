// SPDX-License-Identifier: Apache-2.0
#include "sim/record.hpp"

#include <array>
#include <concepts>
#include <istream>
#include <ostream>

#include "sim/check.hpp"

namespace smmulab {
namespace {

constexpr std::string_view kMagic = "SMMUREC\n";
constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kEventBytes = sizeof(RecordEvent);
constexpr std::size_t kLongestName = std::size_t{1} << 16;

std::uint32_t checked_number(std::size_t n) {
  SMMULAB_CHECK(n < kNoRecordId, "record: more names than 32 bits can number");
  return static_cast<std::uint32_t>(n);
}

template <std::unsigned_integral T>
T decode(const char* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
  }
  return static_cast<T>(value);
}

class Writer {
 public:
  explicit Writer(std::ostream& out) : out_(out) {}
  template <std::unsigned_integral T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      buffer_.push_back(static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i))));
    }
    if (buffer_.size() >= kFlushAt) {
      flush();
    }
  }
  void text(std::string_view text) {
    SMMULAB_CHECK(text.size() <= kLongestName, "record: a name of more than 65536 bytes");
    number(static_cast<std::uint32_t>(text.size()));
    buffer_ += text;
  }
  void raw(std::string_view bytes) { buffer_ += bytes; }
  void event(const RecordEvent& e) {
    number(static_cast<std::uint64_t>(to_ps(e.time)));
    number(e.arg);
    number(e.thread);
    number(e.object);
    number(e.peer);
    number(e.flags);
    number(static_cast<std::uint8_t>(e.kind));
    number(e.detail);
  }
  void flush() {
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    buffer_.clear();
  }

 private:
  static constexpr std::size_t kFlushAt = std::size_t{1} << 16;
  std::ostream& out_;
  std::string buffer_;
};

class Reader {
 public:
  Reader(std::istream& in, const std::string& name) : in_(in), name_(name) {}
  [[noreturn]] void fail(const std::string& message) const {
    throw TraceError(name_, 1, offset_ + 1, message);
  }
  void bytes(char* to, std::size_t n) {
    in_.read(to, static_cast<std::streamsize>(n));
    if (static_cast<std::size_t>(in_.gcount()) != n) {
      offset_ += static_cast<std::size_t>(in_.gcount());
      fail("the record ends in the middle");
    }
    offset_ += n;
  }
  template <std::unsigned_integral T>
  T number() {
    std::array<char, sizeof(T)> raw{};
    bytes(raw.data(), raw.size());
    return decode<T>(raw.data());
  }
  std::string text() {
    const auto length = number<std::uint32_t>();
    if (length > kLongestName) {
      fail("a name of " + std::to_string(length) + " bytes");
    }
    std::string text(length, '\0');
    bytes(text.data(), text.size());
    return text;
  }
  RecordEvent event() {
    std::array<char, kEventBytes> raw{};
    bytes(raw.data(), raw.size());
    const char* at = raw.data();
    RecordEvent e;
    e.time = SimTime{Ps{static_cast<std::int64_t>(decode<std::uint64_t>(at))}};
    e.arg = decode<std::uint64_t>(at + 8);
    e.thread = decode<std::uint32_t>(at + 16);
    e.object = decode<std::uint32_t>(at + 20);
    e.peer = decode<std::uint32_t>(at + 24);
    e.flags = decode<std::uint16_t>(at + 28);
    const auto kind = decode<std::uint8_t>(at + 30);
    e.detail = decode<std::uint8_t>(at + 31);
    if (kind >= kRecordKinds) {
      fail("unknown kind of event: " + std::to_string(kind));
    }
    e.kind = static_cast<RecordKind>(kind);
    return e;
  }
  void expect_end() {
    if (in_.peek() != std::istream::traits_type::eof()) {
      fail("bytes after the end of the record");
    }
  }

 private:
  std::istream& in_;
  const std::string& name_;
  std::size_t offset_ = 0;
};

void write_names(Writer& writer, const NameTable& table) {
  writer.number(checked_number(table.size()));
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    writer.text(table.name(i));
  }
}

void read_names(Reader& reader, NameTable& table) {
  const auto count = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < count; ++i) {
    if (table.intern(reader.text()) != i) {
      reader.fail("a name twice in one table");
    }
  }
}

void read_header(Reader& reader) {
  std::array<char, kMagic.size()> magic{};
  reader.bytes(magic.data(), magic.size());
  if (std::string_view(magic.data(), magic.size()) != kMagic) {
    reader.fail("not a record: it does not begin with SMMUREC");
  }
  const auto version = reader.number<std::uint32_t>();
  if (version != kVersion) {
    reader.fail("record version " + std::to_string(version) + ", but only version " +
                std::to_string(kVersion) + " is known");
  }
  if (reader.number<std::uint32_t>() != kEventBytes) {
    reader.fail("events are not of " + std::to_string(kEventBytes) + " bytes");
  }
}

}  // namespace

std::uint32_t NameTable::intern(std::string_view name) {
  const auto found = numbers_.find(name);
  if (found != numbers_.end()) {
    return found->second;
  }
  const std::uint32_t number = checked_number(names_.size());
  names_.push_back(&numbers_.emplace(name, number).first->first);
  return number;
}

const std::string& NameTable::name(std::uint32_t number) const {
  SMMULAB_CHECK(number < names_.size(), "record: no name has the number " + std::to_string(number));
  return *names_[number];
}

RecordLock Record::intern_lock(std::string_view lock_class, std::string_view instance) {
  return intern_lock(intern_lock_class(lock_class), instance);
}

RecordLock Record::intern_lock(RecordLockClass lock_class, std::string_view instance) {
  const auto [it, added] =
      lock_numbers_.try_emplace({lock_class, std::string(instance)}, checked_number(locks_.size()));
  if (added) {
    locks_.push_back({lock_class, std::string(instance)});
  }
  return RecordLock{it->second};
}

const Record::Lock& Record::lock(RecordLock id) const {
  SMMULAB_CHECK(id.value() < locks_.size(),
                "record: no lock has the number " + std::to_string(id.value()));
  return locks_[id.value()];
}

bool Record::consistent(const RecordEvent& event) const {
  const auto within = [](std::uint32_t number, std::size_t size) {
    return number == kNoRecordId || number < size;
  };
  std::size_t objects = objects_.size();
  switch (event.kind) {
    case RecordKind::kOpBegin:
    case RecordKind::kOpEnd:
      objects = ops_.size();
      break;
    case RecordKind::kLockRequest:
    case RecordKind::kLockAcquire:
    case RecordKind::kLockRelease:
    case RecordKind::kThreadSleep:
    case RecordKind::kThreadWake:
      objects = locks_.size();
      break;
    default:
      break;
  }
  return within(event.thread, threads_.size()) && within(event.peer, threads_.size()) &&
         within(event.object, objects);
}

void Record::dump(std::ostream& out) const {
  Writer writer(out);
  writer.raw(kMagic);
  writer.number(kVersion);
  writer.number(kEventBytes);
  write_names(writer, threads_);
  write_names(writer, lock_classes_);
  writer.number(checked_number(locks_.size()));
  for (const Lock& lock : locks_) {
    writer.number(lock.lock_class.value());
    writer.text(lock.name);
  }
  write_names(writer, ops_);
  write_names(writer, objects_);
  writer.number(size_);
  writer.number(dropped_);
  for (const RecordEvent& event : *this) {
    writer.event(event);
  }
  writer.flush();
  if (!out) {
    throw ConfigError("the record could not be written");
  }
}

Record Record::load(std::istream& in, const std::string& name) {
  Reader reader(in, name);
  Record record;
  read_header(reader);
  read_names(reader, record.threads_);
  read_names(reader, record.lock_classes_);
  const auto locks = reader.number<std::uint32_t>();
  for (std::uint32_t i = 0; i < locks; ++i) {
    const RecordLockClass lock_class{reader.number<std::uint32_t>()};
    if (lock_class.value() >= record.lock_class_count() ||
        record.intern_lock(lock_class, reader.text()).value() != i) {
      reader.fail("a lock twice, or of an unknown class");
    }
  }
  read_names(reader, record.ops_);
  read_names(reader, record.objects_);
  const auto events = reader.number<std::uint64_t>();
  record.dropped_ = reader.number<std::uint64_t>();
  for (std::uint64_t i = 0; i < events; ++i) {
    const RecordEvent event = reader.event();
    if (!record.consistent(event)) {
      reader.fail("an event names something that is in no table");
    }
    record.append(event);
  }
  reader.expect_end();
  return record;
}

}  // namespace smmulab
