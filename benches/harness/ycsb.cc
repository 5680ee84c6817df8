// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/ycsb.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

constexpr double kTheta = 0.99;
constexpr double kAlpha = 1 / (1 - kTheta);
const double kZetaOfTwo = 1 + std::pow(0.5, kTheta);

// What the original scatters, and the sum over it, which it states instead of computing.
constexpr std::uint64_t kScrambledItems = 10'000'000'001;
constexpr double kScrambledZeta = 26.46902820178302;

constexpr Mix kMixes[] = {
    {'A', 0.5, 0.5, 0, 0, 0, Requests::zipfian},   {'B', 0.95, 0.05, 0, 0, 0, Requests::zipfian},
    {'C', 1, 0, 0, 0, 0, Requests::zipfian},       {'D', 0.95, 0, 0.05, 0, 0, Requests::latest},
    {'E', 0, 0, 0.05, 0.95, 0, Requests::zipfian}, {'F', 0.5, 0, 0, 0, 0.5, Requests::zipfian},
};

double unit(Random& random) { return static_cast<double>(random.next() >> 11) * 0x1.0p-53; }  // [0, 1)

void append_length(std::string& text, std::size_t length) {
  for (int shift = 24; shift >= 0; shift -= 8) text.push_back(static_cast<char>(length >> shift & 0xFF));
}

}  // namespace

std::uint64_t fnv_hash64(std::uint64_t number) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (int byte = 0; byte < 8; ++byte, number >>= 8) hash = (hash ^ (number & 0xFF)) * 1099511628211u;
  const auto wide = static_cast<std::int64_t>(hash);
  return wide < 0 ? 0 - hash : hash;
}

Zipfian::Zipfian(std::uint64_t item_count) { grow(item_count); }

Zipfian::Zipfian(std::uint64_t item_count, double zeta_of_items) : item_count_(item_count), zeta_(zeta_of_items) {
  set_eta();
}

void Zipfian::grow(std::uint64_t item_count) {
  require(item_count > 0, "a zipfian distribution needs items");
  for (; item_count_ < item_count; ++item_count_) zeta_ += 1 / std::pow(static_cast<double>(item_count_ + 1), kTheta);
  set_eta();
}

void Zipfian::set_eta() {
  eta_ = (1 - std::pow(2 / static_cast<double>(item_count_), 1 - kTheta)) / (1 - kZetaOfTwo / zeta_);
}

std::uint64_t Zipfian::draw(Random& random) const {
  const double share = unit(random);
  const double scaled = share * zeta_;
  if (scaled < 1) return 0;
  if (scaled < kZetaOfTwo) return 1;
  const double rank = static_cast<double>(item_count_) * std::pow(eta_ * share - eta_ + 1, kAlpha);
  return std::min(static_cast<std::uint64_t>(rank), item_count_ - 1);
}

std::uint64_t Zipfian::next(Random& random, std::uint64_t item_count) {
  if (item_count != item_count_) grow(item_count);
  return draw(random);
}

ScrambledZipfian::ScrambledZipfian() : zipfian_(kScrambledItems, kScrambledZeta) {}

std::uint64_t InsertCounter::take() {
  const std::lock_guard lock(mutex_);
  return next_++;
}

void InsertCounter::acknowledge(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  ahead_.push_back(number);
  for (;;) {
    const auto next = std::find(ahead_.begin(), ahead_.end(), limit_.load());
    if (next == ahead_.end()) return;
    ahead_.erase(next);
    ++limit_;
  }
}

const Mix& ycsb_mix(char letter) {
  for (const Mix& mix : kMixes) {
    if (mix.letter == letter) return mix;
  }
  fail(std::string("YCSB has no core workload ") + letter);
}

Rows::Rows(unsigned field_count, std::size_t field_bytes, std::uint64_t seed)
    : field_bytes_(field_bytes), seed_(seed), content_((field_bytes + 7) / 8) {
  require(field_count >= 1 && field_count <= 10, "rows have 1 to 10 fields");
  require(field_bytes >= 16, "fields have 16 bytes or more");
  for (unsigned field = 0; field < field_count; ++field) {
    const std::string name = "field" + std::to_string(field);
    std::string header;
    append_length(header, name.size());
    header += name;
    append_length(header, field_bytes);
    require(header.size() == kHeaderBytes, "the head of a field has another size");
    fields_.push_back(std::move(header));
  }
}

void Rows::make_key(std::uint64_t number, std::string& key) {
  key.assign("user");
  key += std::to_string(fnv_hash64(number));
}

void Rows::fill(std::uint64_t number, unsigned field, std::uint64_t stamp) {
  std::uint64_t state = mix64(seed_ ^ mix64(number * 16 + field) ^ stamp);
  for (std::uint64_t& word : content_) {
    state += 0x9E3779B97F4A7C15u;
    const std::uint64_t product = (state ^ (state >> 32)) * 0xBF58476D1CE4E5B9u;
    word = product ^ (product >> 29);
  }
  content_[0] = stamp;
}

void Rows::make(std::uint64_t number, std::uint64_t stamp, std::string& row) {
  row.clear();
  for (unsigned field = 0; field < field_count(); ++field) {
    fill(number, field, stamp);
    row += fields_[field];
    row.append(reinterpret_cast<const char*>(content_.data()), field_bytes_);
  }
}

void Rows::set_field(std::uint64_t number, unsigned field, std::uint64_t stamp, std::string& row) {
  fill(number, field, stamp);
  std::memcpy(row.data() + offset_of(field) + kHeaderBytes, content_.data(), field_bytes_);
}

void Rows::check(std::uint64_t number, std::string_view row) {
  if (row.size() != row_bytes()) fail("a row has the wrong size");
  for (unsigned field = 0; field < field_count(); ++field) {
    const std::string_view header = row.substr(offset_of(field), kHeaderBytes);
    const std::string_view content = row.substr(offset_of(field) + kHeaderBytes, field_bytes_);
    std::uint64_t stamp = 0;
    std::memcpy(&stamp, content.data(), sizeof stamp);
    fill(number, field, stamp);
    if (header != fields_[field] || std::memcmp(content.data(), content_.data(), field_bytes_) != 0) {
      fail("a row holds bytes that were never put");
    }
  }
}

}  // namespace cambium::bench
