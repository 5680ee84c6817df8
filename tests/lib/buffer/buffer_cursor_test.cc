// SPDX-License-Identifier: MIT OR Apache-2.0
#include "buffer/buffer_cursor.h"

#include <catch2/catch.hpp>

#include <iterator>
#include <memory>
#include <string>

#include "lib/buffer/buffer_model.h"

using namespace cambium;
using namespace cambium::test;

namespace {

// The model's answer to a cursor's question: the nearest visible key of the table, from an iterator on.
struct Nearest {
  const Model& model;
  std::uint32_t table;
  std::uint64_t limit;

  using Iterator = Model::const_iterator;

  Iterator forward(Iterator it) const {
    for (; it != model.end() && it->first.first == table; ++it) {
      if (visible(it->second, limit) != nullptr) return it;
    }
    return model.end();
  }
  Iterator backward(Iterator it) const {  // from the one before `it`
    while (it != model.begin() && std::prev(it)->first.first == table) {
      --it;
      if (visible(it->second, limit) != nullptr) return it;
    }
    return model.end();
  }
  Iterator lower(const std::string& key) const { return model.lower_bound({table, key}); }
  Iterator upper(const std::string& key) const { return model.upper_bound({table, key}); }
};

bool agree(const BufferCursor& cursor, const Nearest& nearest, Model::const_iterator expected) {
  if (expected == nearest.model.end()) return !cursor.valid();
  return cursor.valid() && cursor.entry().key() == Bytes(expected->first.second) &&
         same(&cursor.entry(), visible(expected->second, nearest.limit));
}

// One random move of the cursor, and the same in the model.
bool move_agrees(BufferCursor& cursor, const Nearest& nearest, rt::Random& random) {
  const std::uint64_t choice = random.below(20);
  if (cursor.valid() && choice < 15) {
    const std::string key = cursor.entry().key().str();
    const bool ahead = choice < 9;
    const bool more = ahead ? cursor.next() : cursor.previous();
    return more == cursor.valid() &&
           agree(cursor, nearest, ahead ? nearest.forward(nearest.upper(key)) : nearest.backward(nearest.lower(key)));
  }
  const std::string key = awkward_key(random);
  struct Seek {
    bool (BufferCursor::*seek)(Bytes);
    bool past_equal;
    bool ahead;
  };
  static constexpr Seek kSeeks[] = {{&BufferCursor::seek, false, true},
                                    {&BufferCursor::seek_after, true, true},
                                    {&BufferCursor::seek_before, false, false},
                                    {&BufferCursor::seek_at_or_before, true, false}};
  const std::uint64_t move = random.below(6);
  if (move < std::size(kSeeks)) {
    const Seek& seek = kSeeks[move];
    (cursor.*seek.seek)(key);
    const Model::const_iterator from = seek.past_equal ? nearest.upper(key) : nearest.lower(key);
    return agree(cursor, nearest, seek.ahead ? nearest.forward(from) : nearest.backward(from));
  }
  if (move == 4) {
    cursor.seek_first();
    return agree(cursor, nearest, nearest.forward(nearest.lower("")));
  }
  cursor.seek_last();
  return agree(cursor, nearest, nearest.backward(nearest.model.lower_bound({nearest.table + 1, ""})));
}

}  // namespace

TEST_CASE("buffer cursor: agrees with a map in both directions while puts go on") {
  // A million operations in all: puts, catching up, cursor moves.
  const std::uint64_t seed = GENERATE(41u, 42u, 43u, 44u);
  INFO("seed " << seed);
  rt::Random random(seed);
  WriteBuffer buffer(16 << 20);
  int operations = 0;
  for (int round = 0; operations < 250000; ++round) {
    Model model;
    OrderedRuns runs(buffer);
    std::unique_ptr<BufferCursor> cursor;
    std::uint64_t sequence = 1;
    std::uint64_t limit = 0;
    std::uint32_t table = 0;
    bool agrees = true;
    const int operations_end = operations + 25000;
    for (; operations < operations_end; ++operations) {
      if (random.chance(0.3)) {
        const std::uint32_t into = static_cast<std::uint32_t>(random.below(3));
        const std::string key = awkward_key(random);
        const auto kind = random.chance(0.2) ? WriteKind::del : WriteKind::put;
        const std::string value = kind == WriteKind::del ? "" : std::to_string(sequence);
        if (!buffer.fits(key.size(), value.size())) break;
        buffer.add(TableId{into}, key, value, kind, Sequence{++sequence});
        model[{into, key}].push_back({sequence, kind, value});
      } else if (cursor == nullptr || random.chance(0.01)) {
        catch_up(runs, buffer.count(), random.between(1, 5000));
        table = static_cast<std::uint32_t>(random.below(4));
        limit = random.chance(0.5) ? sequence : random.between(1, sequence);
        cursor = std::make_unique<BufferCursor>(BufferPin(buffer), runs.runs(), TableId{table}, Sequence{limit});
      } else {
        agrees = agrees && move_agrees(*cursor, Nearest{model, table, limit}, random);
      }
    }
    INFO("round " << round);
    REQUIRE(agrees);
    cursor.reset();
    const SortedRun whole = merge_all(runs, 1000);
    REQUIRE(run_error(whole, buffer) == nullptr);
    // The frozen buffer, as the flusher reads it.
    BufferCursor frozen(BufferPin(buffer), {&whole, 1}, TableId{1}, Sequence{sequence / 2});
    const Nearest nearest{model, 1, sequence / 2};
    frozen.seek_first();
    auto expected = nearest.forward(nearest.lower(""));
    while (agree(frozen, nearest, expected) && frozen.valid()) {
      frozen.next();
      expected = nearest.forward(std::next(expected));
    }
    REQUIRE_FALSE(frozen.valid());
    REQUIRE(expected == model.end());
    frozen = BufferCursor(BufferPin(), {}, TableId{1}, Sequence{0});
    runs.reset();
    buffer.reset();
  }
}

TEST_CASE("buffer cursor: a key with thousands of versions is yielded once, the right one") {
  WriteBuffer buffer(2 << 20);
  OrderedRuns runs(buffer);
  for (std::uint64_t i = 1; i <= 9000; ++i) {
    buffer.add(kDefaultTable, i % 3 == 0 ? "a" : i % 3 == 1 ? "hot" : "z", "", WriteKind::put, Sequence{i});
    if (i % 2000 == 0) catch_up(runs, i);
  }
  catch_up(runs, buffer.count());
  REQUIRE(runs.runs().size() > 1);
  for (const std::uint64_t limit : {3u, 1000u, 4999u, 9000u}) {
    BufferCursor cursor(BufferPin(buffer), runs.runs(), kDefaultTable, Sequence{limit});
    REQUIRE(cursor.seek("b"));
    CHECK(cursor.entry().key() == Bytes("hot"));
    CHECK(raw(cursor.entry().sequence) == limit - (limit + 2) % 3);
    REQUIRE(cursor.next());
    CHECK(cursor.entry().key() == Bytes("z"));
    REQUIRE(cursor.previous());
    CHECK(raw(cursor.entry().sequence) == limit - (limit + 2) % 3);
    REQUIRE(cursor.previous());
    CHECK(cursor.entry().key() == Bytes("a"));
    CHECK_FALSE(cursor.previous());
    CHECK_FALSE(cursor.valid());
  }
}

TEST_CASE("buffer cursor: pins the buffer as long as it lives") {
  WriteBuffer buffer(64 << 10);
  buffer.add(kDefaultTable, "k", "v", WriteKind::put, Sequence{1});
  OrderedRuns runs(buffer);
  catch_up(runs, 1);
  {
    BufferCursor cursor(BufferPin(buffer), runs.runs(), kDefaultTable, kLastSequence);
    CHECK(buffer.references() == 1);
    runs.reset();  // the cursor shares the runs
    REQUIRE(cursor.seek_first());
    CHECK(cursor.entry().value() == Bytes("v"));
  }
  CHECK(buffer.references() == 0);
}
