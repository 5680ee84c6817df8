// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/workload.h"

#include <algorithm>
#include <bit>

#include "harness/fail.h"

namespace cambium::bench {

std::optional<KeyKind> parse_key_kind(std::string_view name) {
  if (name == "random") return KeyKind::random;
  if (name == "decimal") return KeyKind::decimal;
  return std::nullopt;
}

std::string_view to_string(KeyKind kind) { return kind == KeyKind::random ? "random" : "decimal"; }

Workload::Workload(KeyKind kind, std::uint64_t key_count, std::size_t value_bytes, std::uint64_t seed)
    : kind_(kind), key_count_(key_count), value_bytes_(value_bytes), seed_(seed) {
  require(key_count > 0, "a workload needs at least one key");
  require(value_bytes > 0 && value_bytes <= kValueBytesMax, "values have 1 to 65,536 bytes here");
  const unsigned bits = static_cast<unsigned>(std::bit_width(key_count - 1));
  half_bits_ = std::max(1u, (bits + 1) / 2);
  buffer_.resize((value_bytes + sizeof(std::uint64_t) - 1) / sizeof(std::uint64_t));
}

Key Workload::key(std::uint64_t index) const {
  Key key;
  if (kind_ == KeyKind::random) {
    const std::uint64_t words[2] = {mix64(seed_ + 2 * index), mix64(~seed_ - 2 * index)};
    std::memcpy(key.bytes.data(), words, sizeof words);
  } else {
    for (std::size_t digit = kKeyBytes; digit-- > 0; index /= 10) {
      key.bytes[digit] = static_cast<char>('0' + index % 10);
    }
  }
  return key;
}

Key Workload::load_key(std::uint64_t position) const {
  // Random keys arrive in random order by themselves; dense ones need their order shuffled.
  return key(kind_ == KeyKind::random ? position : shuffled(position));
}

// A four-round Feistel network is a bijection of 2^(2 * half_bits); positions that it throws beyond the
// key count walk on until they fall inside, which keeps it a bijection of [0, key_count).
std::uint64_t Workload::shuffled(std::uint64_t position) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = position >> half_bits_;
    std::uint64_t right = position & mask;
    for (std::uint64_t round = 0; round < 4; ++round) {
      const std::uint64_t next = left ^ (mix64(seed_ + (round << 56) + right) & mask);
      left = right;
      right = next;
    }
    position = (left << half_bits_) | right;
  } while (position >= key_count_);
  return position;
}

std::vector<Key> Workload::sorted_keys() const {
  std::vector<Key> keys;
  keys.reserve(key_count_);
  for (std::uint64_t index = 0; index < key_count_; ++index) keys.push_back(key(index));
  if (kind_ == KeyKind::random) std::sort(keys.begin(), keys.end());
  require(std::adjacent_find(keys.begin(), keys.end()) == keys.end(), "the workload made the same key twice");
  return keys;
}

std::string_view Workload::value(std::string_view key, std::uint64_t version) {
  std::uint64_t words[2] = {};
  std::memcpy(words, key.data(), std::min(key.size(), sizeof words));
  // One multiplication per word keeps the verification small beside the operation it verifies.
  std::uint64_t state = mix64(words[0] ^ std::rotl(words[1], 32) ^ (version * 0xD1342543DE82EF95u));
  for (std::uint64_t& word : buffer_) {
    state += 0x9E3779B97F4A7C15u;
    const std::uint64_t product = (state ^ (state >> 32)) * 0xBF58476D1CE4E5B9u;
    word = product ^ (product >> 29);
  }
  return {reinterpret_cast<const char*>(buffer_.data()), value_bytes_};
}

bool Workload::matches(std::string_view key, std::string_view value, std::uint64_t version) {
  return value == this->value(key, version);
}

Digest Workload::expected_digest() {
  Digest digest;
  for (std::uint64_t index = 0; index < key_count_; ++index) {
    const Key entry_key = key(index);
    digest.add(entry_key.view(), value(entry_key.view()));
  }
  return digest;
}

}  // namespace cambium::bench
