// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Seeded pseudo-random numbers: the same seed gives the same numbers on every platform, for ever.
//
// The simulator, the tests and the benches replay by seed, so nothing here depends on the standard
// library's distributions, which differ between implementations. Not for secrets.
//
// Source     xoshiro256** 1.0 and splitmix64, D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom
//            Number Generators" (2018), prng.di.unimi.it. Bounded numbers: D. Lemire, "Fast Random
//            Integer Generation in an Interval" (2018).
// Invariants the state is never all zero.
// Lifetime   a value type: copying forks the sequence. One thread at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/assert.h"
#include "base/endian.h"
#include "base/wide.h"

namespace cambium::rt {

/// One step of splitmix64: advances `state`, returns the next number. Any state is good, also 0.
constexpr std::uint64_t splitmix64(std::uint64_t& state) noexcept {
  state += 0x9E3779B97F4A7C15u;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

class Random {
 public:
  using State = std::array<std::uint64_t, 4>;

  /// Any seed is good, also 0; near seeds give unrelated sequences.
  explicit constexpr Random(std::uint64_t seed) noexcept {
    for (std::uint64_t& word : state_) word = splitmix64(seed);
  }

  /// Continues from a state. Requires: not all zero (the one state that never leaves itself).
  explicit constexpr Random(const State& state) noexcept : state_(state) {
    CAMBIUM_ASSERT((state[0] | state[1] | state[2] | state[3]) != 0);
  }

  constexpr std::uint64_t next() noexcept {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  /// A number in [0, bound), each equally likely. Requires: bound > 0.
  constexpr std::uint64_t below(std::uint64_t bound) noexcept {
    CAMBIUM_ASSERT(bound > 0);
    uint128 product = static_cast<uint128>(next()) * bound;
    // The few low products that would favour some results are drawn again (Lemire, algorithm 5).
    if (static_cast<std::uint64_t>(product) < bound) {
      const std::uint64_t reject_below = (0 - bound) % bound;
      while (static_cast<std::uint64_t>(product) < reject_below) {
        product = static_cast<uint128>(next()) * bound;
      }
    }
    return static_cast<std::uint64_t>(product >> 64);
  }

  /// A number in [first, last], each equally likely. Requires: first <= last.
  constexpr std::uint64_t between(std::uint64_t first, std::uint64_t last) noexcept {
    CAMBIUM_ASSERT(first <= last);
    const std::uint64_t width = last - first;
    return width == ~std::uint64_t{0} ? next() : first + below(width + 1);
  }

  /// A number in [0, 1), a multiple of 2^-53.
  constexpr double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// True with the probability given: 0 is never, 1 is always. Always consumes one number, so that
  /// changing a probability does not shift the rest of a replay.
  constexpr bool chance(double probability) noexcept { return unit() < probability; }

  /// Fills `count` bytes at `to`.
  void bytes(void* to, std::size_t count) noexcept {
    auto* out = static_cast<unsigned char*>(to);
    for (; count >= 8; count -= 8, out += 8) store_le64(out, next());
    if (count == 0) return;
    unsigned char last[8];
    store_le64(last, next());
    std::memcpy(out, last, count);
  }

  [[nodiscard]] constexpr const State& state() const noexcept { return state_; }

 private:
  State state_{};
};

}  // namespace cambium::rt
