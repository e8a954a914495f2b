// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/log_reader.hpp"

#include <cstring>

namespace smmulab::workloads::qemu {

bool LogReader::next(std::string_view& line) {
  std::size_t scanned = begin_;
  while (true) {
    const void* const found = std::memchr(&buffer_[0] + scanned, '\n', end_ - scanned);
    if (found != nullptr) {
      const char* const at = static_cast<const char*>(found);
      line = {&buffer_[0] + begin_, static_cast<std::size_t>(at - (&buffer_[0] + begin_))};
      begin_ += line.size() + 1;
      break;
    }
    if (begin_ > 0) {
      std::memmove(&buffer_[0], &buffer_[0] + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    scanned = end_;
    if (end_ == buffer_.size()) {  // a line without end: what was read of it is of no use
      end_ = 0;
      scanned = 0;
    }
    const std::size_t read = source_->read(&buffer_[0] + end_, buffer_.size() - end_);
    if (read == 0) {
      if (begin_ == end_) {
        return false;
      }
      line = {&buffer_[0] + begin_, end_ - begin_};
      begin_ = end_;
      ended_ = false;
      break;
    }
    end_ += read;
  }
  ++line_;
  if (!line.empty() && line.back() == '\r') {
    line.remove_suffix(1);
  }
  if (line.size() > kMaxLine) {
    line = {};
  }
  return true;
}

}  // namespace smmulab::workloads::qemu
