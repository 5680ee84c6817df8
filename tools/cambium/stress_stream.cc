// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/stress_stream.h"

#include <charconv>
#include <cstddef>
#include <cstdio>

#include "base/random.h"
#include "base/text.h"

namespace cambium::cli {
namespace {

constexpr std::uint64_t kRemovalsPercent = 20;
constexpr std::uint64_t kLargePercent = 2;  // of the puts: values that need overflow extents
constexpr std::uint64_t kSmallBytesMax = 400;
constexpr std::uint64_t kLargeBytesMax = 20'000;
constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15;

// Two generators per write: what it does, and the bytes it writes.
rt::Random generator(std::uint64_t seed, std::uint64_t sequence, std::uint64_t purpose) noexcept {
  std::uint64_t state = seed * kMultiplier + sequence;
  state = rt::splitmix64(state) ^ purpose;
  return rt::Random(state);
}

}  // namespace

StressWrite StressStream::at(std::uint64_t sequence) const {
  rt::Random random = generator(seed_, sequence, 1);
  char key[32];
  std::snprintf(key, sizeof key, "key%012llu", static_cast<unsigned long long>(random.below(keys_)));
  return {.key = key, .remove = random.below(100) < kRemovalsPercent};
}

std::string StressStream::value_at(std::uint64_t sequence) const {
  rt::Random random = generator(seed_, sequence, 2);
  const bool large = random.below(100) < kLargePercent;
  const std::uint64_t filler = random.below(large ? kLargeBytesMax : kSmallBytesMax);
  std::string value = rt::str(seed_, "/", sequence, "/");
  const std::size_t header = value.size();
  value.resize(header + static_cast<std::size_t>(filler));
  random.bytes(value.data() + header, static_cast<std::size_t>(filler));
  return value;
}

std::optional<std::uint64_t> StressStream::sequence_of(std::string_view value) const noexcept {
  const std::size_t first = value.find('/');
  const std::size_t second = first == std::string_view::npos ? first : value.find('/', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  std::uint64_t numbers[2] = {};
  const std::string_view parts[2] = {value.substr(0, first), value.substr(first + 1, second - first - 1)};
  for (std::size_t i = 0; i < 2; ++i) {
    const char* const end = parts[i].data() + parts[i].size();
    const auto [stopped, error] = std::from_chars(parts[i].data(), end, numbers[i]);
    if (error != std::errc() || stopped != end) return std::nullopt;
  }
  if (numbers[0] != seed_) return std::nullopt;
  return numbers[1];
}

}  // namespace cambium::cli
