// SPDX-License-Identifier: MIT OR Apache-2.0
// Draws: the choices of a random test, from a seed, or from a tape of bytes that a fuzzer writes.
//
// A taped draw takes as few bytes as its range needs, so that one byte of the tape changes one choice. After the end
// of the tape everything is 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/assert.h"
#include "base/random.h"

namespace cambium::test {

class Draws {
 public:
  using Tape = std::span<const std::uint8_t>;

  explicit Draws(std::uint64_t seed) noexcept : random_(seed) {}
  explicit Draws(Tape tape) noexcept : random_(0), tape_(tape), taped_(true) {}

  bool taped() const noexcept { return taped_; }
  bool ended() const noexcept { return taped_ && tape_.empty(); }

  std::uint64_t below(std::uint64_t bound) noexcept {
    CAMBIUM_ASSERT(bound > 0);
    return taped_ ? take(bound <= 0x100 ? 1 : bound <= 0x10000 ? 2 : 8) % bound : random_.below(bound);
  }
  std::uint64_t between(std::uint64_t first, std::uint64_t last) noexcept { return first + below(last - first + 1); }
  // Any number. On a tape there are 65,536 of them, far apart: what asks for one wants variety, not each of them.
  std::uint64_t next() noexcept {
    if (!taped_) return random_.next();
    std::uint64_t state = take(2);
    return rt::splitmix64(state);
  }
  // The next `count` bytes of the tape, or what is left of them.
  Tape bytes(std::size_t count) noexcept {
    CAMBIUM_ASSERT(taped_);
    const Tape taken = tape_.first(count < tape_.size() ? count : tape_.size());
    tape_ = tape_.subspan(taken.size());
    return taken;
  }

 private:
  std::uint64_t take(std::size_t count) noexcept {
    std::uint64_t number = 0;
    for (const std::uint8_t byte : bytes(count)) number = number << 8 | byte;
    return number;
  }

  rt::Random random_;
  Tape tape_;
  bool taped_ = false;
};

}  // namespace cambium::test
