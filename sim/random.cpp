// SPDX-License-Identifier: Apache-2.0
#include "sim/random.hpp"

#include <Random123/philox.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sim/check.hpp"

namespace smmulab {
namespace {

constexpr std::uint32_t low_word(std::uint64_t v) {
  return static_cast<std::uint32_t>(v);
}
constexpr std::uint32_t high_word(std::uint64_t v) {
  return static_cast<std::uint32_t>(v >> 32);
}
constexpr std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return std::uint64_t{high} << 32 | low;
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32_10(const std::array<std::uint32_t, 4>& counter,
                                           const std::array<std::uint32_t, 2>& key) {
  const r123::Philox4x32_R<10> generator;
  const r123::Philox4x32_R<10>::ctr_type in = {{counter[0], counter[1], counter[2], counter[3]}};
  const auto out = generator(in, {{key[0], key[1]}});
  return {out.v[0], out.v[1], out.v[2], out.v[3]};
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view name) {
  const XXH128_hash_t h = XXH3_128bits_withSeed(name.data(), name.size(), seed);
  key_ = h.low64;
  stream_ = h.high64;
}

void RandomStream::refill() {
  for (std::size_t i = 0; i < kBlocks; ++i) {
    const std::uint64_t block = next_block_ + i;
    const auto out =
        philox4x32_10({low_word(block), high_word(block), low_word(stream_), high_word(stream_)},
                      {low_word(key_), high_word(key_)});
    numbers_[2 * i] = join(out[0], out[1]);
    numbers_[2 * i + 1] = join(out[2], out[3]);
  }
  next_block_ += kBlocks;
  used_ = 0;
}

std::uint64_t RandomStream::uniform_int(std::uint64_t bound) {
  SMMULAB_CHECK(bound != 0, "uniform_int: the bound is 0, so there is no number to draw");
  // The high half of draw * bound is uniform once the first 2^64 mod bound values of the low half
  // are rejected (Lemire, 2019). The threshold costs a division, so it is looked at only when the
  // low half could lie below it.
  for (;;) {
    const unsigned __int128 product = static_cast<unsigned __int128>(next_u64()) * bound;
    const auto low = static_cast<std::uint64_t>(product);
    if (low >= bound || low >= (0 - bound) % bound) {
      return static_cast<std::uint64_t>(product >> 64);
    }
  }
}

}  // namespace smmulab
