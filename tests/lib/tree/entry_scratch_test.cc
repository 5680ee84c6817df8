// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/entry_scratch.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>

#include "base/random.h"

namespace cambium {
namespace {

TEST_CASE("entry scratch: what was handed out stays in place until the entries it belongs to are released") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 9)));
  CAPTURE(seed);
  rt::Random random(seed);
  EntryScratch scratch;
  struct Piece {
    const char* bytes;
    std::string expected;
    std::uint64_t end;  // may go when as many entries are released
  };
  static constexpr std::uint64_t kThisRound = ~std::uint64_t{0};  // a page belongs to the entries added after it
  std::deque<Piece> pieces;
  std::uint64_t added = 0;
  std::uint64_t released = 0;
  for (unsigned round = 0; round < 3000; ++round) {
    if (random.chance(0.3)) {
      std::string page(kPageBytes, static_cast<char>(round));
      random.bytes(page.data(), 64);
      pieces.push_back({scratch.copy_page(page.data()), page, kThisRound});
    }
    for (std::uint64_t i = random.below(20); i != 0; --i) {
      std::string text(random.below(random.chance(0.1) ? kPageBytes + 1 : 100), static_cast<char>(random.next()));
      if (random.chance(0.5)) {
        pieces.push_back({scratch.copy(text).data(), text, added + 1});
      } else {
        std::memcpy(scratch.reserve(kPageBytes), text.data(), text.size());
        pieces.push_back({scratch.commit(text.size()).data(), text, added + 1});
      }
      ++added;
    }
    scratch.mark(added);
    for (Piece& piece : pieces) piece.end = std::min(piece.end, added);
    if (random.chance(0.5)) {
      released = random.between(released, added);
      std::erase_if(pieces, [&](const Piece& piece) { return piece.end <= released; });
      scratch.release(released);
    }
    for (const Piece& piece : pieces) REQUIRE(std::string(piece.bytes, piece.expected.size()) == piece.expected);
    if (random.chance(0.02)) {
      pieces.clear();
      scratch.clear();
    }
  }
}

}  // namespace
}  // namespace cambium
