// SPDX-License-Identifier: MIT OR Apache-2.0
// Keys and values made from a seed, so that nothing is stored and every answer can be verified.
//
// Keys of 16 bytes: `random` (16 random bytes per index) or `decimal` ("%016d", dense). A value is a
// stream of words drawn from its key and a version: incompressible, and recomputed to check an answer.
//
// Invariants
//   1. key(i) != key(j) for i != j: the first word of a random key is a bijection of its index.
//   2. load_key(0 .. count-1) visits every key once, in an order without relation to the key order.
//
// Units      value_bytes; versions count the updates of a key, 0 is the first load.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cambium::bench {

inline constexpr std::size_t kKeyBytes = 16;
inline constexpr std::size_t kValueBytesMax = 64 * 1024;

enum class KeyKind { random, decimal };

std::optional<KeyKind> parse_key_kind(std::string_view name);
std::string_view to_string(KeyKind kind);

struct Key {
  std::array<char, kKeyBytes> bytes;
  std::string_view view() const { return {bytes.data(), bytes.size()}; }
  friend bool operator<(const Key& a, const Key& b) {
    return std::memcmp(a.bytes.data(), b.bytes.data(), kKeyBytes) < 0;
  }
  friend bool operator==(const Key& a, const Key& b) = default;
};

// The finaliser of splitmix64: a bijection of 64 bits that leaves no structure.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mix64(seed)) {}
  std::uint64_t next() { return mix64(state_ += 0x9E3779B97F4A7C15u); }
  // Uniform in [0, bound): the high half of a 128-bit product, biased by less than bound / 2^64.
  std::uint64_t below(std::uint64_t bound) {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
  }

 private:
  std::uint64_t state_;
};

// A sum over entries that does not depend on their order: what a timed scan folds its entries into.
struct Digest {
  std::uint64_t entry_count = 0;
  std::uint64_t sum = 0;
  friend bool operator==(const Digest& a, const Digest& b) = default;

  void add(std::string_view key, std::string_view value) {
    std::uint64_t head = 0;
    std::uint64_t word = 0;
    std::memcpy(&head, key.data(), key.size() < sizeof head ? key.size() : sizeof head);
    std::memcpy(&word, value.data(), value.size() < sizeof word ? value.size() : sizeof word);
    sum += head + word;
    ++entry_count;
  }
};

class Workload {
 public:
  Workload(KeyKind kind, std::uint64_t key_count, std::size_t value_bytes, std::uint64_t seed);

  std::uint64_t key_count() const { return key_count_; }
  std::size_t value_bytes() const { return value_bytes_; }
  std::uint64_t data_bytes() const { return key_count_ * (kKeyBytes + value_bytes_); }

  Key key(std::uint64_t index) const;
  Key load_key(std::uint64_t position) const;  // in load order
  std::vector<Key> sorted_keys() const;

  // The value of `key` at `version`; the view is valid until the next call of value() or matches().
  std::string_view value(std::string_view key, std::uint64_t version = 0);
  bool matches(std::string_view key, std::string_view value, std::uint64_t version = 0);

  Digest expected_digest();  // of the whole database at version 0

 private:
  std::uint64_t shuffled(std::uint64_t position) const;

  KeyKind kind_;
  std::uint64_t key_count_;
  std::size_t value_bytes_;
  std::uint64_t seed_;
  unsigned half_bits_;  // of the Feistel network that shuffles the load order
  std::vector<std::uint64_t> buffer_;
};

}  // namespace cambium::bench
