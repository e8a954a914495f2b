// SPDX-License-Identifier: Apache-2.0
#include "workloads/byte_stream.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <fmt/format.h>

namespace smmulab::workloads {
namespace {

constexpr std::string_view kMagic{"\x28\xb5\x2f\xfd", 4};

std::string errno_text(int error) {
  return std::generic_category().message(error);
}

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { close(); }
  [[nodiscard]] int get() const { return fd_; }
  int close() { return fd_ < 0 ? 0 : ::close(std::exchange(fd_, -1)); }

 private:
  int fd_;
};

class FileSource final : public ByteSource {
 public:
  explicit FileSource(const std::string& path)
      : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_.get() < 0) {
      fail(path == "-" ? "standard input cannot be read twice; name a file" : errno_text(errno));
    }
    struct stat status{};
    // A folder fails when it is read.
    if (::fstat(fd_.get(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) {
      fail("it is no regular file, so it cannot be read twice");
    }
  }
  std::size_t read(char* data, std::size_t size) override {
    for (;;) {
      const ssize_t n = ::read(fd_.get(), data, size);
      if (n >= 0) {
        return static_cast<std::size_t>(n);
      }
      if (errno != EINTR) {
        fail(errno_text(errno));
      }
    }
  }
  // Up to 4 bytes from the start; the next read begins at the start again.
  std::string peek_magic() {
    std::string start(kMagic.size(), '\0');
    const ssize_t n = ::pread(fd_.get(), start.data(), start.size(), 0);
    start.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return start;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw ConfigError(fmt::format("cannot read {}: {}", path_, why));
  }
  std::string path_;
  Fd fd_;
};

class ZstdSource final : public ByteSource {
 public:
  explicit ZstdSource(std::unique_ptr<ByteSource> from)
      : from_(std::move(from)), stream_(ZSTD_createDStream()), buffer_(ZSTD_DStreamInSize()) {
    if (stream_ == nullptr) {
      throw Error("zstd: out of memory");
    }
  }
  std::size_t read(char* data, std::size_t size) override {
    ZSTD_outBuffer out{data, size, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size) {
        in_ = {buffer_.data(), from_->read(buffer_.data(), buffer_.size()), 0};
        if (in_.size == 0) {
          // At the end of the file a frame must be complete; else data may wait in the decoder.
          if (frame_done_ || flush(out)) {
            return out.pos;
          }
          throw CorruptData("corrupt zstd data: the file ends inside a frame (truncated?)");
        }
      }
      step(out);
    }
    return out.pos;
  }
  [[nodiscard]] bool shows_damage() const override { return true; }

 private:
  void step(ZSTD_outBuffer& out) {
    const std::size_t left = ZSTD_decompressStream(stream_.get(), &out, &in_);
    if (ZSTD_isError(left) != 0) {
      throw CorruptData(fmt::format("corrupt zstd data: {}", ZSTD_getErrorName(left)));
    }
    frame_done_ = left == 0;
  }
  bool flush(ZSTD_outBuffer& out) {
    step(out);
    return out.pos > 0 || frame_done_;
  }

  struct Free {
    void operator()(ZSTD_DStream* s) const { ZSTD_freeDStream(s); }
  };
  std::unique_ptr<ByteSource> from_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  std::vector<char> buffer_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool frame_done_ = false;
};

// Writes NAME.tmp-PID-N and renames it to NAME at commit().
class AtomicFileSink final : public ByteSink {
 public:
  explicit AtomicFileSink(std::string path) : path_(std::move(path)), fd_(open_beside()) {}
  ~AtomicFileSink() override {
    if (!committed_) {
      fd_.close();
      ::unlink(temporary_.c_str());
    }
  }
  void write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno != EINTR) {
        fail(errno);
      }
    }
  }
  void commit() override {
    if (fd_.close() != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
      fail(errno);
    }
    committed_ = true;
  }

 private:
  int open_beside() {
    if (const std::string why = why_not_replaced(path_); !why.empty()) {
      throw ConfigError(fmt::format("cannot write {}: {}", path_, why));
    }
    static std::atomic<std::uint64_t> counter{0};  // only names files; never reaches output
    for (;;) {
      temporary_ = fmt::format("{}.tmp-{}-{}", path_, ::getpid(), counter++);
      const int fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (fd >= 0) {
        return fd;
      }
      if (errno != EEXIST) {
        fail(errno);
      }
    }
  }
  [[noreturn]] void fail(int error) const {
    throw ConfigError(fmt::format("cannot write {}: {}", path_, errno_text(error)));
  }
  std::string path_;
  std::string temporary_;
  Fd fd_;
  bool committed_ = false;
};

class ZstdSink final : public ByteSink {
 public:
  ZstdSink(std::unique_ptr<ByteSink> to, int level)
      : to_(std::move(to)), stream_(ZSTD_createCCtx()), buffer_(ZSTD_CStreamOutSize()) {
    if (stream_ == nullptr) {
      throw Error("zstd: out of memory");
    }
    if (level < 1 || level > ZSTD_maxCLevel()) {
      throw ConfigError(fmt::format("zstd level {} is not in 1..{}", level, ZSTD_maxCLevel()));
    }
    check(ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_compressionLevel, level));
    check(ZSTD_CCtx_setParameter(stream_.get(), ZSTD_c_checksumFlag, 1));
  }
  void write(std::string_view bytes) override { pump(bytes, ZSTD_e_continue); }
  void commit() override {
    pump({}, ZSTD_e_end);
    to_->commit();
  }

 private:
  void pump(std::string_view bytes, ZSTD_EndDirective directive) {
    ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
    std::size_t left = 0;
    do {
      ZSTD_outBuffer out{buffer_.data(), buffer_.size(), 0};
      left = check(ZSTD_compressStream2(stream_.get(), &out, &in, directive));
      to_->write({buffer_.data(), out.pos});
    } while (in.pos < in.size || (directive == ZSTD_e_end && left != 0));
  }
  static std::size_t check(std::size_t result) {
    if (ZSTD_isError(result) != 0) {
      throw Error(fmt::format("zstd: {}", ZSTD_getErrorName(result)));
    }
    return result;
  }

  struct Free {
    void operator()(ZSTD_CCtx* s) const { ZSTD_freeCCtx(s); }
  };
  std::unique_ptr<ByteSink> to_;
  std::unique_ptr<ZSTD_CCtx, Free> stream_;
  std::vector<char> buffer_;
};

}  // namespace

bool has_zst_suffix(std::string_view path) {
  return path.ends_with(".zst");
}

std::string why_not_replaced(const std::string& path) {
  struct stat status{};
  if (path == "-") {
    return "standard output will not do; name a file";
  }
  // A rename would put a file in place of /dev/null.
  const bool special = ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  return special ? (S_ISDIR(status.st_mode) ? errno_text(EISDIR) : "it is no regular file") : "";
}

std::unique_ptr<ByteSource> open_source(const std::string& path) {
  auto file = std::make_unique<FileSource>(path);
  if (has_zst_suffix(path) || file->peek_magic() == kMagic) {
    return std::make_unique<ZstdSource>(std::move(file));
  }
  return file;
}

std::unique_ptr<ByteSink> open_sink(const std::string& path, int zstd_level) {
  auto file = std::make_unique<AtomicFileSink>(path);
  if (has_zst_suffix(path)) {
    return std::make_unique<ZstdSink>(std::move(file), zstd_level);
  }
  return file;
}

}  // namespace smmulab::workloads
