// SPDX-License-Identifier: Apache-2.0
// RecordedIotlb: the set of entries that QEMU's IOTLB holds, from the log's own insert and
// invalidate lines alone, by QEMU's own rules (hw/arm/smmu-common.c): keys (asid, vmid, iova,
// granule, level). The other side of the comparison with the model's live entries.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <vector>

namespace smmulab::workloads::qemu {

class RecordedIotlb {
 public:
  struct Key {
    std::uint64_t asid, vmid, iova;
    std::uint8_t log2;  // of what it covers
    std::uint8_t level;
    friend auto operator<=>(const Key&, const Key&) = default;
  };
  void insert(const Key& key) {
    if (std::ranges::find(keys_, key) == keys_.end()) {
      keys_.push_back(key);
    }
  }
  void clear() { keys_.clear(); }
  void erase_asid(std::uint64_t asid) {
    std::erase_if(keys_, [asid](const Key& key) { return key.asid == asid; });
  }
  void erase_vmid(std::uint64_t vmid) {
    std::erase_if(keys_, [vmid](const Key& key) { return key.vmid == vmid; });
  }
  // `bytes` is a power of 2 and `iova` aligned to it. With a level and one page the exact entry
  // goes if it is there; else all that contain or are contained.
  void erase_range(bool any_asid, std::uint64_t asid, std::uint64_t iova, std::uint64_t bytes,
                   std::uint8_t level_of_page) {
    if (level_of_page != 0 && !any_asid) {
      const auto exact = std::ranges::find_if(keys_, [&](const Key& key) {
        return key.asid == asid && key.level == level_of_page &&
               key.iova == (iova & ~((std::uint64_t{1} << key.log2) - 1));
      });
      if (exact != keys_.end()) {
        keys_.erase(exact);
        return;
      }
    }
    std::erase_if(keys_, [&](const Key& key) {
      const std::uint64_t mask = (std::uint64_t{1} << key.log2) - 1;
      return (any_asid || key.asid == asid) &&
             ((iova & ~mask) == key.iova || (key.iova & ~(bytes - 1)) == iova);
    });
  }
  [[nodiscard]] std::vector<Key> sorted() const {
    std::vector<Key> keys = keys_;
    std::ranges::sort(keys);
    return keys;
  }

 private:
  std::vector<Key> keys_;
};

}  // namespace smmulab::workloads::qemu
