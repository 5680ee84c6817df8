// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/blocked_filter.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "levels/filter_bits.h"

namespace cambium {
namespace {

struct Filter {
  FilterShape shape;
  std::vector<std::string> pages;

  bool may_contain(std::uint64_t hash) const {
    return filter_may_contain(pages.at(filter_page_of(shape, hash)).data(), shape, hash);
  }
};

Filter make_filter(const FilterShape& shape, const std::vector<std::uint64_t>& hashes) {
  FilterBuilder builder(shape);
  for (const std::uint64_t hash : hashes) builder.add(hash);
  Filter filter{shape, {}};
  for (std::uint32_t i = 0; i < shape.pages; ++i) {
    filter.pages.emplace_back(kPageBytes, '\x77');
    builder.write_page(i, {PageId{50 + i}, Generation{4}, 9, 0}, filter.pages.back().data());
  }
  return filter;
}

std::vector<std::uint64_t> key_hashes(std::size_t count, const std::string& name) {
  std::vector<std::uint64_t> hashes;
  for (std::size_t i = 0; i < count; ++i) hashes.push_back(filter_hash(name + std::to_string(i)));
  return hashes;
}

TEST_CASE("blocked filter: the hash of a key is the same for ever", "[F08]") {
  CHECK(filter_hash("") == 0x93228a4de0eec5a2);
  CHECK(filter_hash("a") == 0xaced12527fe5bff8);
  CHECK(filter_hash("user0000000000000001") == 0x635d07a6f3d5887b);
  CHECK(filter_hash(std::string(1024, 'k')) == 0x9dd689ec61107b80);
}

TEST_CASE("blocked filter: no false negative, and false positives as often as theory says", "[F08]") {
  const double bits = GENERATE(1.0, 2.5, 4.0, 7.3, 10.0, 12.0, 14.0);
  CAPTURE(bits);
  const std::vector<std::uint64_t> members = key_hashes(200'000, "member");
  const FilterShape shape = FilterShape::for_keys(members.size(), bits);
  CHECK(shape.bits_per_key() >= bits);
  CHECK(shape.bits_per_key() < bits + 0.17);  // a page more
  const Filter filter = make_filter(shape, members);
  for (const std::uint64_t hash : members) REQUIRE(filter.may_contain(hash));
  std::size_t wrong = 0;
  const std::size_t asked = 400'000;
  for (const std::uint64_t hash : key_hashes(asked, "stranger")) wrong += filter.may_contain(hash);
  const double rate = static_cast<double>(wrong) / static_cast<double>(asked);
  const double expected = shape.expected_false_positive_rate();
  CAPTURE(rate, expected, shape.probes);
  // Four standard deviations of the count beside a fifth for the theory.
  const double noise = 4 * std::sqrt(expected / static_cast<double>(asked));
  CHECK(rate > expected * 0.8 - noise);
  CHECK(rate < expected * 1.2 + noise);
  if (bits >= 10) CHECK(rate < 0.05);
}

TEST_CASE("blocked filter: at 24 bits strangers are one in ten thousand or fewer", "[F08]") {
  const std::vector<std::uint64_t> members = key_hashes(100'000, "member");
  const Filter filter = make_filter(FilterShape::for_keys(members.size(), 24), members);
  for (const std::uint64_t hash : members) REQUIRE(filter.may_contain(hash));
  rt::Random random(8);
  std::size_t wrong = 0;
  for (int i = 0; i < 2'000'000; ++i) wrong += filter.may_contain(random.next());
  const double expected = 2e6 * filter.shape.expected_false_positive_rate();
  CAPTURE(wrong, expected);
  CHECK(static_cast<double>(wrong) < 1.2 * expected + 4 * std::sqrt(expected));
  CHECK(static_cast<double>(wrong) > 0.8 * expected - 4 * std::sqrt(expected));
  CHECK(wrong < 200);
}

TEST_CASE("blocked filter: an empty filter finds nothing", "[F08]") {
  const FilterShape shape = FilterShape::for_keys(0, 10);
  REQUIRE(shape.pages == 1);
  CHECK(shape.expected_false_positive_rate() == 0);
  const Filter filter = make_filter(shape, {});
  rt::Random random(1);
  for (int i = 0; i < 10'000; ++i) REQUIRE_FALSE(filter.may_contain(random.next()));
  CHECK_FALSE(filter.may_contain(0));
  CHECK_FALSE(filter.may_contain(~std::uint64_t{0}));
}

TEST_CASE("blocked filter: every hash lies in a page and a block of the filter, and all of them are used") {
  rt::Random random(2);
  for (const std::uint32_t pages : {1u, 2u, 3u, 100u, format::kFilterPagesMax}) {
    const FilterShape shape{.keys = 1, .pages = pages, .probes = 6};
    std::vector<int> blocks(format::kFilterBlocksPerPage);
    for (int i = 0; i < 20'000; ++i) {
      const FilterPlace place = filter_place(shape, i == 0 ? 0 : i == 1 ? ~std::uint64_t{0} : random.next());
      REQUIRE(place.page < pages);
      REQUIRE(place.offset % 64 == 0);
      REQUIRE(place.offset >= 64);
      REQUIRE(place.offset < kPageBytes);
      ++blocks[place.offset / 64 - 1];
    }
    for (const int count : blocks) CHECK(count > 200);  // 317 expected
  }
}

TEST_CASE("blocked filter: a page's bytes are the filter: written, read back and asked", "[F08]") {
  const std::vector<std::uint64_t> members = key_hashes(10'000, "member");
  const FilterShape shape = FilterShape::for_keys(members.size(), 10);
  Filter filter = make_filter(shape, members);
  const format::FilterRecord record = shape.encode();
  Result<FilterShape> decoded = FilterShape::decode(record);
  REQUIRE(decoded);
  CHECK(*decoded == shape);
  filter.shape = *decoded;
  for (std::uint32_t i = 0; i < shape.pages; ++i) {
    CHECK(validate_filter_page(filter.pages[i].data(), *decoded, i) == nullptr);
    CHECK(validate_filter_page(filter.pages[i].data(), *decoded, i + 1) != nullptr);
    CHECK(format::header_of(filter.pages[i].data()).page_id == 50 + i);
  }
  for (const std::uint64_t hash : members) REQUIRE(filter.may_contain(hash));
}

TEST_CASE("blocked filter: shapes for few keys, many keys and no filter at all") {
  for (const double bits : {0.0, 0.99, -3.0, std::numeric_limits<double>::quiet_NaN()}) {
    const FilterShape none = FilterShape::for_keys(1000, bits);
    CHECK(none.empty());
    CHECK(none.expected_false_positive_rate() == 1);
    Result<FilterShape> decoded = FilterShape::decode(none.encode());
    REQUIRE(decoded);
    CHECK(*decoded == none);
  }
  CHECK(FilterShape::for_keys(1, 10).pages == 1);
  CHECK(FilterShape::for_keys(3225, 10).pages == 1);
  CHECK(FilterShape::for_keys(3226, 10).pages == 2);
  CHECK(FilterShape::for_keys(1000, 1e9).pages == FilterShape::for_keys(1000, 24).pages);
  CHECK(FilterShape::for_keys(std::uint64_t{1} << 60, 24).pages == format::kFilterPagesMax);
  CHECK(FilterShape::for_keys(~std::uint64_t{0}, 1).probes == 1);
}

TEST_CASE("blocked filter: records and pages that no writer made are refused") {
  const FilterShape shape = FilterShape::for_keys(5000, 10);
  const auto refused = [&](auto&& change) {
    format::FilterRecord record = shape.encode();
    change(record);
    Result<FilterShape> decoded = FilterShape::decode(record);
    return decoded.code() == Errc::corruption;
  };
  CHECK_FALSE(refused([](format::FilterRecord&) {}));
  CHECK(refused([](format::FilterRecord& r) { r.pages = 0; }));
  CHECK(refused([](format::FilterRecord& r) { r.pages = format::kFilterPagesMax + 1; }));
  CHECK(refused([](format::FilterRecord& r) { r.probes = 0; }));
  CHECK(refused([](format::FilterRecord& r) { r.probes = 17; }));
  CHECK(refused([](format::FilterRecord& r) { r.scheme = 2; }));
  CHECK(refused([](format::FilterRecord& r) { r.reserved = 1; }));

  const Filter filter = make_filter(shape, key_hashes(5000, "member"));
  std::string page = filter.pages[1];
  for (std::size_t at = 4; at < 64; ++at) {
    if (at >= 8 && at < 32) continue;  // page id, generation and file id are checked where the page is read
    page[at] = static_cast<char>(page[at] ^ 0x10);
    CAPTURE(at);
    CHECK(validate_filter_page(page.data(), shape, 1) != nullptr);
    page[at] = static_cast<char>(page[at] ^ 0x10);
  }
  // Whatever the blocks hold, an answer is an answer.
  rt::Random random(6);
  random.bytes(page.data() + 64, kPageBytes - 64);
  REQUIRE(validate_filter_page(page.data(), shape, 1) == nullptr);
  std::size_t found = 0;
  for (int i = 0; i < 1000; ++i) found += filter_may_contain(page.data(), shape, random.next());
  CHECK(found < 1000);
}

}  // namespace
}  // namespace cambium
