// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/crc32c.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "base/crc32c_impl.h"
#include "base/random.h"

using namespace cambium::rt;

namespace {

constexpr Crc32cImpl kImpls[] = {Crc32cImpl::portable, Crc32cImpl::sse42, Crc32cImpl::avx512, Crc32cImpl::armv8};

/// The definition, one bit at a time: shares nothing with the implementations but the polynomial.
std::uint32_t crc32c_by_definition(const unsigned char* at, std::size_t bytes) {
  std::uint32_t state = 0xFFFFFFFFu;
  for (std::size_t i = 0; i < bytes; ++i) {
    state ^= at[i];
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~state;
}

std::vector<Crc32cImpl> available_impls() {
  std::vector<Crc32cImpl> impls;
  for (const Crc32cImpl impl : kImpls) {
    if (crc32c_available(impl)) impls.push_back(impl);
  }
  return impls;
}

std::vector<unsigned char> random_bytes(std::uint64_t seed, std::size_t count) {
  std::vector<unsigned char> bytes(count);
  Random(seed).bytes(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("crc32c: the vectors of RFC 3720 and the check value come out of every implementation", "[F12]") {
  unsigned char zeros[32] = {};
  unsigned char ones[32];
  unsigned char up[32];
  unsigned char down[32];
  std::memset(ones, 0xFF, sizeof ones);
  for (unsigned i = 0; i < 32; ++i) {
    up[i] = static_cast<unsigned char>(i);
    down[i] = static_cast<unsigned char>(31 - i);
  }
  for (const Crc32cImpl impl : available_impls()) {
    INFO(crc32c_impl_name(impl));
    CHECK(crc32c_with(impl, zeros, 32) == 0x8A9136AAu);
    CHECK(crc32c_with(impl, ones, 32) == 0x62A8AB43u);
    CHECK(crc32c_with(impl, up, 32) == 0x46DD794Eu);
    CHECK(crc32c_with(impl, down, 32) == 0x113FDB5Cu);
    CHECK(crc32c_with(impl, "123456789", 9) == 0xE3069283u);
    CHECK(crc32c_with(impl, nullptr, 0) == 0u);
  }
}

TEST_CASE("crc32c: every implementation equals the definition on every length to 600 at every alignment", "[F12]") {
  const auto bytes = random_bytes(1, 600 + 64);
  const auto impls = available_impls();
  std::size_t wrong = 0;
  for (std::size_t length = 0; length <= 600; ++length) {
    for (std::size_t alignment = 0; alignment < 64; alignment += length % 7 == 0 ? 1 : 13) {
      const std::uint32_t expected = crc32c_by_definition(bytes.data() + alignment, length);
      for (const Crc32cImpl impl : impls) {
        if (crc32c_with(impl, bytes.data() + alignment, length) == expected) continue;
        ++wrong;
        UNSCOPED_INFO(crc32c_impl_name(impl) << " length " << length << " alignment " << alignment);
      }
    }
  }
  REQUIRE(wrong == 0);
}

TEST_CASE("crc32c: all implementations agree on random lengths to 70,000 at every alignment", "[F12]") {
  constexpr std::uint64_t kSeed = 20240607;
  CAPTURE(kSeed);
  Random random(kSeed);
  const auto bytes = random_bytes(kSeed + 1, 70'000 + 64);
  const auto impls = available_impls();
  for (std::size_t alignment = 0; alignment < 64; ++alignment) {
    for (int round = 0; round < 8; ++round) {
      const auto length = static_cast<std::size_t>(random.below(70'001));
      const auto seed = static_cast<std::uint32_t>(random.next());
      const std::uint32_t expected = crc32c_with(Crc32cImpl::portable, bytes.data() + alignment, length, seed);
      for (const Crc32cImpl impl : impls) {
        CAPTURE(alignment, length, seed, crc32c_impl_name(impl));
        REQUIRE(crc32c_with(impl, bytes.data() + alignment, length, seed) == expected);
      }
    }
  }
}

TEST_CASE("crc32c: the checksum of a whole continues from the checksum of its beginning") {
  const auto bytes = random_bytes(3, 5000);
  for (const Crc32cImpl impl : available_impls()) {
    INFO(crc32c_impl_name(impl));
    const std::uint32_t whole = crc32c_by_definition(bytes.data(), bytes.size());
    for (std::size_t cut = 0; cut <= bytes.size(); cut += 37) {
      const std::uint32_t head = crc32c_with(impl, bytes.data(), cut);
      REQUIRE(crc32c_with(impl, bytes.data() + cut, bytes.size() - cut, head) == whole);
    }
  }
}

TEST_CASE("crc32c: combine gives the checksum of two pieces from theirs") {
  const auto bytes = random_bytes(4, 70'000);
  for (const std::size_t length : {0ul, 1ul, 7ul, 8ul, 4096ul, 65'537ul, 70'000ul}) {
    for (const std::size_t cut : {0ul, 1ul, 3ul, 64ul, 4092ul, 69'999ul}) {
      if (cut > length) continue;
      CAPTURE(length, cut);
      const std::uint32_t head = crc32c(bytes.data(), cut);
      const std::uint32_t tail = crc32c(bytes.data() + cut, length - cut);
      REQUIRE(crc32c_combine(head, tail, length - cut) == crc32c(bytes.data(), length));
    }
  }
}

TEST_CASE("crc32c: combine is right for pieces longer than 4 GiB") {
  // Moving on by n + m bytes is moving on by n and then by m.
  const std::uint32_t crc = crc32c("cambium", 7);
  const std::size_t big = (std::size_t{5} << 30) + 12345;
  const std::uint32_t in_two_steps = crc32c_combine(crc32c_combine(crc, 0, big - 999), 0, 999);
  REQUIRE(crc32c_combine(crc, 0, big) == in_two_steps);
  REQUIRE(in_two_steps != crc);
}

TEST_CASE("crc32c: one flipped bit anywhere in a page changes the checksum", "[F12]") {
  auto page = random_bytes(5, 4096);
  const std::uint32_t before = crc32c(page.data(), page.size());
  std::size_t missed = 0;
  for (std::size_t bit = 0; bit < page.size() * 8; ++bit) {
    const auto mask = static_cast<unsigned char>(1u << (bit % 8));
    page[bit / 8] ^= mask;
    if (crc32c(page.data(), page.size()) == before) ++missed;
    page[bit / 8] ^= mask;
  }
  REQUIRE(missed == 0);
}

TEST_CASE("crc32c: the one in use is an available one, and the fastest") {
  const auto impls = available_impls();
  REQUIRE(crc32c_available(Crc32cImpl::portable));
  std::string expected = "portable";
  if (crc32c_available(Crc32cImpl::sse42)) expected = "sse42";
  if (crc32c_available(Crc32cImpl::armv8)) expected = "armv8";
  if (crc32c_available(Crc32cImpl::avx512)) expected = "avx512";
  CHECK(crc32c_impl_name() == expected);
  CHECK(
      std::any_of(impls.begin(), impls.end(), [](Crc32cImpl i) { return crc32c_impl_name(i) == crc32c_impl_name(); }));
}

TEST_CASE("crc32c: powers of x multiply as powers do") {
  using namespace crc32c_detail;
  Random random(6);
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t a = random.below(1u << 20);
    const std::uint64_t b = random.below(1u << 20);
    REQUIRE(multiply(x_power(a), x_power(b)) == x_power(a + b));
  }
}
