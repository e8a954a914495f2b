// SPDX-License-Identifier: Apache-2.0
// Bytes in and out of trace files, plain or zstd, with bounded memory.
// A source is decompressed if its name ends in ".zst" or its first bytes are zstd's magic number.
// A sink compresses if its name ends in ".zst"; it writes beside its target and renames at
// commit(), so that no half-written file ever bears the target's name (a killed process may leave
// the temporary file, NAME.tmp-PID-N).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "sim/error.hpp"

namespace smmulab::workloads {

// The compressed data is damaged or cut short. Readers turn it into a TraceError with a line.
class CorruptData : public Error {
 public:
  using Error::Error;
};

class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;
  // Fills up to `size` bytes, returns how many; 0 only at the end. Throws CorruptData, ConfigError.
  virtual std::size_t read(char* data, std::size_t size) = 0;
  // Damage would show, because the bytes are compressed.
  [[nodiscard]] virtual bool shows_damage() const { return false; }
};

class ByteSink {
 public:
  ByteSink() = default;
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;
  virtual ~ByteSink() = default;  // without commit(): discards
  virtual void write(std::string_view bytes) = 0;
  virtual void commit() = 0;
};

[[nodiscard]] bool has_zst_suffix(std::string_view path);

// Why a file of that name cannot be written beside it and then renamed to it ("-", a device, a
// folder), or "".
[[nodiscard]] std::string why_not_replaced(const std::string& path);

// Throws ConfigError if the file cannot be opened, or is a pipe or a device: replays read it again.
[[nodiscard]] std::unique_ptr<ByteSource> open_source(const std::string& path);
// zstd level 1..22, used for ".zst" only. Throws ConfigError if the folder cannot be written.
[[nodiscard]] std::unique_ptr<ByteSink> open_sink(const std::string& path, int zstd_level);

}  // namespace smmulab::workloads
