// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/tree_cursor.h"

#include <catch2/catch.hpp>

#include <set>
#include <string>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::KeyShape;
using test::Model;
using test::Pairs;
using test::TreeFixture;

// What the model says a seek and a walk show.
Pairs expected(const Model& model, Direction direction, const std::string& from, bool inclusive, std::size_t most) {
  Pairs out;
  if (direction == Direction::forward) {
    auto it = from.empty() ? model.begin() : (inclusive ? model.lower_bound(from) : model.upper_bound(from));
    for (; it != model.end() && out.size() < most; ++it) out.emplace_back(*it);
    return out;
  }
  auto it = from.empty() ? model.end() : (inclusive ? model.upper_bound(from) : model.lower_bound(from));
  while (it != model.begin() && out.size() < most) out.emplace_back(*--it);
  return out;
}

// Every separator of every branch: where seeks go wrong first.
class Separators final : public PageVisitor {
 public:
  explicit Separators(test::DeviceFixture& base) : base_(base) {}
  Status visit(PageRun run, Generation) override {
    const std::string page = base_.disk().peek(test::kFile, raw(run.first) * kPageBytes, kPageBytes);
    if (run.pages != 1 || node::validate_node(page.data()) != nullptr) return {};
    const node::NodeView view(page.data());
    if (view.is_leaf()) return {};
    char key[kKeyBytesMax + node::NodeView::kKeySlack];
    for (std::size_t i = 1; i < view.count(); ++i) keys.emplace_back(key, view.separator(i, key));
    return {};
  }
  std::vector<std::string> keys;

 private:
  test::DeviceFixture& base_;
};

TEST_CASE("tree cursor: seeks and walks equal a map's, in both directions, at separators and beyond the ends") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 13)));
  CAPTURE(seed);
  rt::Random random(seed);
  const bool small_cache = seed % 2 == 0;
  TreeFixture tree(small_cache ? 16 : 2048, 64, {.seed = seed, .eager = random.chance(0.5)});
  const auto shape = static_cast<KeyShape>(random.below(test::kKeyShapes));
  Batch batch;
  for (unsigned i = 0; i < (small_cache ? 3000u : 15'000u); ++i) {
    batch[test::random_key(random, shape)] = std::string(random.below(random.chance(0.05) ? 3000 : 80), 'v');
  }
  tree.apply(batch);
  Separators separators(tree.base);
  tree.base.run(tree.store.check(tree.root, separators)).value();
  for (unsigned i = 0; i < 300; ++i) {
    std::string from = test::random_key(random, shape);
    const std::uint64_t kind = random.below(8);
    if (kind == 0) from.clear();
    if (kind == 1) from = tree.model.begin()->first;
    if (kind == 2) from = tree.model.rbegin()->first;
    if (kind == 3) from = std::string(kKeyBytesMax, '\xff');
    if (kind == 4) from = std::string(1, '\0');
    if (kind >= 5 && !separators.keys.empty() && random.chance(0.7))
      from = separators.keys[random.below(separators.keys.size())];
    const Direction direction = random.chance(0.5) ? Direction::forward : Direction::reverse;
    const bool inclusive = random.chance(0.5);
    const std::size_t most = random.chance(0.1) ? 5000 : random.below(60);
    const auto readahead = static_cast<unsigned>(random.below(3) * 16);
    CAPTURE(i, direction == Direction::forward, inclusive);
    REQUIRE(tree.read(tree.root, {direction, readahead}, from, inclusive, most) ==
            expected(tree.model, direction, from, inclusive, most));
  }
  REQUIRE(tree.cache->pinned() == 0);
}

TEST_CASE("tree cursor: many cursors interleave on a small cache, each with its own position") {
  TreeFixture tree(32);
  Batch batch;
  for (unsigned i = 0; i < 20'000; ++i) batch["key" + std::to_string(100'000 + i)] = std::string(60, 'v');
  tree.apply(batch);
  struct Walker {
    std::unique_ptr<TableCursor> cursor;
    Direction direction;
    Pairs seen;
  };
  std::vector<Walker> walkers;
  for (unsigned i = 0; i < 6; ++i) {
    const Direction direction = i % 2 == 0 ? Direction::forward : Direction::reverse;
    walkers.push_back({tree.store.cursor(tree.root, {direction, 4}), direction, {}});
    tree.base.run(walkers.back().cursor->seek({}, true)).value();
  }
  rt::Random random(4);
  for (bool any = true; any;) {
    any = false;
    for (Walker& walker : walkers) {
      TableCursor& cursor = *walker.cursor;
      for (std::uint64_t pages = random.below(4); pages != 0 && !(cursor.at_end() && !cursor.valid()); --pages) {
        for (const Entry& entry : cursor.rest_of_page()) walker.seen.emplace_back(entry.key.str(), entry.value.str());
        cursor.skip_page();
        if (!cursor.at_end()) tree.base.run(cursor.next_page()).value();
      }
      any = any || !cursor.at_end() || cursor.valid();
    }
  }
  for (const Walker& walker : walkers) {
    REQUIRE(walker.seen == expected(tree.model, walker.direction, {}, true, tree.model.size()));
  }
}

TEST_CASE("tree cursor: try_next_page never suspends, and next_page goes on from where it gave up") {
  TreeFixture tree(1024);
  Batch batch;
  for (unsigned i = 0; i < 30'000; ++i) batch["key" + std::to_string(100'000 + i)] = std::string(60, 'v');
  tree.apply(batch);
  std::unique_ptr<TableCursor> cursor = tree.store.cursor(tree.root, {});
  tree.base.run(cursor->seek({}, true)).value();
  std::size_t seen = 0;
  std::size_t plain = 0;
  std::size_t slow = 0;
  for (;;) {
    seen += cursor->rest_of_page().size();
    cursor->skip_page();
    if (cursor->at_end()) break;
    if (cursor->try_next_page()) {
      ++plain;
      continue;
    }
    ++slow;
    tree.base.run(cursor->next_page()).value();
  }
  CHECK(seen == tree.model.size());
  CHECK(plain > 20 * slow);
}

TEST_CASE("tree cursor: an empty table has nothing in either direction") {
  TreeFixture tree(16);
  for (const Direction direction : {Direction::forward, Direction::reverse}) {
    CHECK(tree.read(tree.root, {.direction = direction}).empty());
    CHECK(tree.read(tree.root, {.direction = direction}, "x").empty());
  }
}

TEST_CASE("tree cursor: a long scan of leaves that lie one behind the other reads many at once, past the cache") {
  const bool bulk = GENERATE(false, true);
  const Direction direction = GENERATE(Direction::forward, Direction::reverse);
  CAPTURE(bulk, direction == Direction::forward);
  TreeFixture tree(32, 2048);
  Batch batch;
  for (unsigned i = 0; i < 12'000; ++i) batch["key" + std::to_string(100'000 + i)] = std::string(200, 'v');
  tree.apply(batch);
  const std::uint64_t cached_before = tree.cache->stats().reads;
  const Pairs seen = tree.read(tree.root, {.direction = direction, .bulk = bulk});
  CHECK(seen == expected(tree.model, direction, {}, true, tree.model.size()));
  const std::uint64_t pages = tree.root.node_pages - tree.root.node_pages / 20;  // about: leaves
  CHECK(tree.streams.reads() >= (bulk ? pages : pages / 4) / TreeFixture::kPiecePages);
  CHECK(tree.streams.reads() <= pages / TreeFixture::kPiecePages * 5 / 4 + 8);
  CHECK(tree.cache->stats().reads - cached_before <= (bulk ? pages / 20 : pages * 3 / 4));
  tree.base.settle();
  CHECK(tree.streams.free_count() == tree.streams.count());
}

// A page that could not be read is not a page that was read: the next call meets it again.
TEST_CASE("tree cursor: after an error the walk resumes at the page that failed, it never skips one") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(range(1, 41)));
  CAPTURE(seed);
  rt::Random random(seed);
  TreeFixture tree(16);
  Batch batch;
  for (unsigned i = 0; i < 12'000; ++i) batch["key" + std::to_string(100'000 + i)] = std::string(200, 'v');
  tree.apply(batch);
  REQUIRE(tree.root.height == 3);
  const Direction direction = random.chance(0.5) ? Direction::forward : Direction::reverse;
  std::unique_ptr<TableCursor> cursor = tree.store.cursor(tree.root, {direction, random.chance(0.5) ? 0u : 8u});
  tree.base.run(cursor->seek({}, true)).value();
  Pairs seen;
  std::set<std::string, std::less<>> errors;  // each names its page
  while (!(cursor->at_end() && !cursor->valid())) {
    for (const Entry& entry : cursor->rest_of_page()) seen.emplace_back(entry.key.str(), entry.value.str());
    cursor->skip_page();
    if (cursor->at_end()) break;
    // Sticky half of the time: a read ahead that fails alone is made up for by the read that needs the page.
    if (random.chance(0.5)) {
      tree.base.disk().plan({.kind = rt::IoKind::read, .operation = random.below(3), .sticky = random.chance(0.5)});
    }
    const Status moved = tree.base.run(cursor->next_page());
    if (!moved) {
      errors.emplace(moved.error().message());
      CHECK(moved.code() == Errc::io);
      CHECK(!cursor->valid());
    }
    tree.base.settle();
    tree.base.disk().clear_faults();
  }
  CHECK(errors.size() > 5);
  REQUIRE(seen == expected(tree.model, direction, {}, true, tree.model.size()));
}

}  // namespace
}  // namespace cambium
