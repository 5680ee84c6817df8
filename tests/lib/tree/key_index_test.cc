// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/key_index.h"

#include "lib/tree/tree_fixture.h"

using namespace cambium;
using namespace cambium::test;

namespace {

constexpr TableId kTable{1};

// A table and the index over its newest version, used as the read path does.
struct IndexFixture : TreeFixture {
  explicit IndexFixture(std::size_t frames) : TreeFixture(frames), index(*cache, 1 << 20) {}

  // The long way; the leaf it ends in has then been visited. (In a small cache something may be missing again.)
  void visit(const std::string& key) {
    REQUIRE(get(root, key) == model.at(key));
    Lookup lookup;
    FoundEntry found;
    if (store.find(root, key, lookup, found) == FindState::found) index.visited(kTable, found.frame);
  }
  void visit_all(int times = 2) {
    for (int i = 0; i < times; ++i) {
      for (const auto& [key, value] : model) visit(key);
    }
  }
  // Asks so often that a pause does not matter.
  std::optional<std::string> find(const std::string& key, TableId table = kTable) {
    FoundEntry found;
    for (int i = 0; i < 16; ++i) {
      if (index.find(table, key, found)) return found.entry.value.str();
    }
    return std::nullopt;
  }
  // Nothing but the newest value; how many keys were answered.
  std::size_t require_true() {
    std::size_t answered = 0;
    for (const auto& [key, value] : model) {
      const std::optional<std::string> found = find(key);
      if (!found) continue;
      REQUIRE(*found == value);
      ++answered;
    }
    return answered;
  }
  // Hands over a new version the way a flush does, with lookups in the old one while it is being built.
  template <class During>
  void replace(const Batch& batch, During during) {
    cache->version_begins();
    const TableRoot old = root;
    const Model before = model;
    apply(batch);
    const TableRoot next = std::exchange(root, old);
    const Model after = std::exchange(model, before);
    during();
    cache->version_ends();
    root = next;
    model = after;
  }

  KeyIndex index;
};

Batch numbered(int from, int to, const std::string& value) {
  Batch batch;
  for (int i = from; i < to; ++i) batch["key-" + std::to_string(100'000 + i)] = value + std::to_string(i);
  return batch;
}

}  // namespace

TEST_CASE("key index: a leaf is learned whole at its second visit, and only for its own table") {
  IndexFixture f(512);
  f.apply(numbered(0, 2000, "v"));
  const std::string some = f.model.begin()->first;
  f.visit(some);
  CHECK_FALSE(f.find(some));
  f.visit(some);
  CHECK(f.find(some) == "v0");
  CHECK(f.find(std::next(f.model.begin())->first) == "v1");  // a neighbour that nobody asked for
  CHECK_FALSE(f.find(some, TableId{2}));
  CHECK_FALSE(f.find("key-1"));
  f.visit_all();
  CHECK(f.require_true() == 2000);
}

TEST_CASE("key index: lookups made together get the same answers as one by one") {
  IndexFixture f(512);
  f.apply(numbered(0, 1500, "v"));
  f.visit_all();
  std::vector<std::string> keys;
  for (const auto& [key, value] : f.model) keys.push_back(key);
  for (std::size_t i = 0; i < keys.size(); i += 7) keys[i] += "-absent";
  std::vector<MultiLookup> lookups(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) lookups[i].key = keys[i];
  f.index.find_many(kTable, lookups);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    REQUIRE((lookups[i].state == FindState::found) == (i % 7 != 0));
    if (i % 7 != 0) REQUIRE(lookups[i].found.entry.value.str() == f.model.at(keys[i]));
  }
}

TEST_CASE("key index: a replaced leaf is not believed, though it is still cached") {
  IndexFixture f(2048);
  f.apply(numbered(0, 3000, "old"));
  f.visit_all();
  REQUIRE(f.require_true() == 3000);
  f.replace(numbered(0, 1000, "new"), [&] { CHECK(f.require_true() >= 1700); });
  const std::size_t answered = f.require_true();
  CHECK(answered >= 1700);  // the leaves that stayed
  CHECK(answered < 3000);
  f.visit_all();
  CHECK(f.require_true() == 3000);
}

TEST_CASE("key index: what is seen while a version is built is forgotten when it is published") {
  // The leaf is read, and learned, after the rebuild has replaced it and before the new version is published: nothing
  // tells the rebuild about it.
  IndexFixture f(2048);
  f.apply(numbered(0, 3000, "old"));
  f.replace(numbered(0, 3000, "new"), [&] {
    for (FrameIndex frame = 0; frame < 2048; ++frame) {
      const PageId page{format::header_of(f.cache->bytes(frame)).page_id};
      if (raw(page) != 0 && f.cache->find(page) == frame) f.cache->invalidate(page);
    }
    f.visit_all();
    CHECK(f.require_true() == 3000);
  });
  CHECK(f.require_true() == 0);
  f.visit_all();
  CHECK(f.require_true() == 3000);
}

TEST_CASE("key index: deleted keys are not found") {
  IndexFixture f(1024);
  f.apply(numbered(0, 500, "v"));
  f.visit_all();
  const Model before = f.model;
  Batch removed;
  for (int i = 0; i < 500; i += 2) removed["key-" + std::to_string(100'000 + i)] = std::nullopt;
  f.replace(removed, [] {});
  f.visit_all();
  for (const auto& [key, value] : before) {
    if (!f.model.contains(key)) CHECK_FALSE(f.find(key));
  }
}

TEST_CASE("key index: where it rarely has an answer it is rarely asked, until it has") {
  IndexFixture f(2048);
  f.apply(numbered(0, 3000, "v"));
  FoundEntry found;
  for (const auto& [key, value] : f.model) CHECK_FALSE(f.index.find(kTable, key, found));
  f.visit_all();
  std::size_t first_answers = 0;
  for (const auto& [key, value] : f.model) first_answers += f.index.find(kTable, key, found);
  CHECK(first_answers > 3000 / 20);
  CHECK(first_answers < 3000 / 10);
  for (int i = 0; i < 6; ++i) {
    for (const auto& [key, value] : f.model) static_cast<void>(f.index.find(kTable, key, found));
  }
  std::size_t answers = 0;
  for (const auto& [key, value] : f.model) answers += f.index.find(kTable, key, found);
  CHECK(answers == 3000);
}

TEST_CASE("key index: random versions, evictions and visits never give an old value") {
  const auto seed = static_cast<std::uint64_t>(GENERATE(1, 2, 3));
  CAPTURE(seed);
  rt::Random random(seed);
  IndexFixture f(seed == 1 ? 48 : 256);
  f.apply(numbered(0, 2000, "v"));
  for (int round = 0; round < 60; ++round) {
    Batch batch;
    const int changes = static_cast<int>(1 + random.below(300));
    for (int i = 0; i < changes; ++i) {
      const std::string key = "key-" + std::to_string(100'000 + random.below(2500));
      if (random.below(4) == 0) {
        batch[key] = std::nullopt;
      } else {
        batch[key] = "r" + std::to_string(round) + "-" + key + std::string(random.below(200), 'x');
      }
    }
    const auto visits = [&] {
      for (int i = 0; i < 400; ++i) {
        const auto at = f.model.lower_bound("key-" + std::to_string(100'000 + random.below(2500)));
        if (at != f.model.end()) f.visit(at->first);
      }
      f.require_true();
    };
    visits();
    f.replace(batch, visits);
    f.require_true();
  }
  CHECK(f.index.hits() > 1000);
}
