// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/filter_probe.h"

#include <catch2/catch.hpp>

#include <string>

#include "base/random.h"

namespace cambium {
namespace {

bool ask(FilterProbeImpl impl, const char* block, std::uint32_t bits, unsigned probes) {
  return has_filter_bits_with(impl, block, bits, probes);
}

TEST_CASE("filter probe: all implementations agree, on blocks of any density and any alignment", "[F08]") {
  if (!filter_probe_available(FilterProbeImpl::avx2)) {
    WARN("skipped: this processor has no AVX2, portable stands alone");
    return;
  }
  const std::uint64_t seed = GENERATE(1u, 2u, 3u);
  CAPTURE(seed);
  rt::Random random(seed);
  std::string memory(64 + 64, '\0');
  int found = 0;
  for (unsigned probes = 1; probes <= 16; ++probes) {
    for (int round = 0; round < 3'000; ++round) {
      char* block = memory.data() + random.below(64);
      const std::uint64_t dense = random.below(4);
      for (int i = 0; i < 64; ++i) {
        std::uint64_t byte = random.next();
        for (std::uint64_t more = 0; more < dense; ++more) byte |= random.next();
        block[i] = static_cast<char>(byte);
      }
      const auto bits = static_cast<std::uint32_t>(random.next());
      const bool portable = ask(FilterProbeImpl::portable, block, bits, probes);
      found += portable;
      REQUIRE(ask(FilterProbeImpl::avx2, block, bits, probes) == portable);
      REQUIRE(has_filter_bits(block, bits, probes) == portable);
    }
  }
  CHECK(found > 1'000);
}

TEST_CASE("filter probe: bits that were set are found, and each of them is needed") {
  rt::Random random(4);
  for (const FilterProbeImpl impl : {FilterProbeImpl::portable, FilterProbeImpl::avx2}) {
    if (!filter_probe_available(impl)) continue;
    for (unsigned probes = 1; probes <= 16; ++probes) {
      for (int round = 0; round < 200; ++round) {
        char block[64] = {};
        const auto bits = static_cast<std::uint32_t>(random.next());
        CHECK_FALSE(ask(impl, block, bits, probes));
        set_filter_bits(block, bits, probes);
        REQUIRE(ask(impl, block, bits, probes));
        for (int bit = 0; bit < 512; ++bit) {
          if ((block[bit / 8] >> (bit % 8) & 1) == 0) continue;
          block[bit / 8] = static_cast<char>(block[bit / 8] ^ (1 << bit % 8));
          REQUIRE_FALSE(ask(impl, block, bits, probes));
          block[bit / 8] = static_cast<char>(block[bit / 8] ^ (1 << bit % 8));
        }
      }
    }
  }
}

}  // namespace
}  // namespace cambium
