// SPDX-License-Identifier: MIT OR Apache-2.0
// StressStream: an endless list of puts and removals that follows from a seed. Any member can be computed alone, so a
// check after a crash needs nothing but the seed.
//
// Invariants
//   1. Equal seed, key count and sequence give equal writes, on every platform and in every version.
//   2. A value names the seed and the sequence of the write that made it, and no two writes have equal values.
//
// Units      sequences count from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace cambium::cli {

struct StressWrite {
  std::string key;
  bool remove = false;
};

class StressStream {
 public:
  StressStream(std::uint64_t seed, std::uint64_t keys) noexcept : seed_(seed), keys_(keys) {}

  StressWrite at(std::uint64_t sequence) const;
  std::string value_at(std::uint64_t sequence) const;  // Requires: at(sequence) is no removal
  // Which write of this stream made the value; none when it was another seed's, or is no such value.
  std::optional<std::uint64_t> sequence_of(std::string_view value) const noexcept;

 private:
  std::uint64_t seed_;
  std::uint64_t keys_;
};

}  // namespace cambium::cli
