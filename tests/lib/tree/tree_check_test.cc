// SPDX-License-Identifier: MIT OR Apache-2.0
#include <catch2/catch.hpp>

#include "lib/tree/tree_fixture.h"

namespace cambium {
namespace {

using test::Batch;
using test::TreeFixture;

class Runs final : public PageVisitor {
 public:
  Status visit(PageRun run, Generation birth) override {
    runs.push_back({run, birth});
    return {};
  }
  std::vector<std::pair<PageRun, Generation>> runs;
};

void load(TreeFixture& tree) {
  Batch batch;
  for (unsigned i = 0; i < 3000; ++i) batch["key" + std::to_string(i)] = std::string(i % 200 == 0 ? 20'000 : 100, 'v');
  tree.apply(batch);
}
// The cache may hold pages that were good when they were read.
void forget(TreeFixture& tree, const Runs& runs) {
  for (const auto& [run, birth] : runs.runs) {
    for (std::uint32_t i = 0; i < run.pages; ++i) tree.cache->invalidate(PageId{raw(run.first) + i});
  }
}

TEST_CASE("tree check: a flipped bit in any page of the tree, of nodes and of long values, is found") {
  rt::Random random(1);
  TreeFixture tree(64);
  load(tree);
  Runs runs;
  tree.base.run(tree.store.check(tree.root, runs)).value();
  for (const auto& [run, birth] : runs.runs) {
    CHECK(raw(birth) == 2);
    // The last page of a value is partly unused: its first bytes are part of the value.
    const std::uint64_t at = raw(run.first) * kPageBytes + random.below((run.pages - 1) * kPageBytes + 100);
    forget(tree, runs);
    tree.base.disk().flip_bit(test::kFile, at, static_cast<unsigned>(random.below(8)));
    Runs ignored;
    const std::string good = tree.base.disk().peek(test::kFile, at, 1);
    const Status status = tree.base.run(tree.store.check(tree.root, ignored));
    REQUIRE(status.code() == Errc::corruption);
    CHECK(std::string(status.error().message()).find("page " + std::to_string(raw(run.first))) != std::string::npos);
    std::string restored = good;
    for (unsigned bit = 0; bit < 8; ++bit) {  // find the bit back: exactly one makes the tree whole
      restored[0] = static_cast<char>(good[0] ^ (1 << bit));
      tree.base.disk().poke(test::kFile, at, restored);
      forget(tree, runs);
      Runs again;
      if (tree.base.run(tree.store.check(tree.root, again))) break;
      REQUIRE(bit < 7);
    }
  }
  forget(tree, runs);
  tree.require_sound();
}

TEST_CASE("tree check: a root that says another number of pages or entries is found") {
  TreeFixture tree(64);
  load(tree);
  Runs ignored;
  TableRoot wrong = tree.root;
  ++wrong.node_pages;
  CHECK(tree.base.run(tree.store.check(wrong, ignored)).code() == Errc::corruption);
  wrong = tree.root;
  --wrong.overflow_pages;
  CHECK(tree.base.run(tree.store.check(wrong, ignored)).code() == Errc::corruption);
  wrong = tree.root;
  ++wrong.pointer.entries;
  CHECK(tree.base.run(tree.store.check(wrong, ignored)).code() == Errc::corruption);
}

// Pages with right checksums that do not fit together: a bug of ours, or a forged file.
TEST_CASE("tree check: keys outside what the separators promise are found") {
  TreeFixture tree(64);
  const auto leaf = [&](std::uint32_t page, const std::string& key) {
    node::NodeEntry entry;
    entry.key = key;
    std::string bytes(kPageBytes, '\0');
    node::build_node(bytes.data(), {PageId{page}, Generation{1}, test::kFileId, 0}, {&entry, 1});
    const format::ChildPointer pointer{page, format::seal_page(bytes.data()), 1};
    tree.base.disk().poke(test::kFile, std::uint64_t{page} * kPageBytes, bytes);
    return pointer;
  };
  std::uint32_t page = 40;
  const auto check = [&](const std::string& low_key, const std::string& separator, const std::string& high_key) {
    std::vector<node::NodeEntry> entries(2);
    entries[0].child = leaf(page, low_key);
    entries[1].key = separator;
    entries[1].child = leaf(page + 1, high_key);
    std::string bytes(kPageBytes, '\0');
    node::build_node(bytes.data(), {PageId{page + 2}, Generation{1}, test::kFileId, 1}, entries);
    TableRoot root;
    root.pointer = {page + 2, format::seal_page(bytes.data()), 2};
    root.height = 2;
    root.node_pages = 3;
    tree.base.disk().poke(test::kFile, std::uint64_t{page + 2} * kPageBytes, bytes);
    page += 3;
    Runs ignored;
    return tree.base.run(tree.store.check(root, ignored)).code();
  };
  CHECK(check("a", "m", "m") == Errc::ok);
  CHECK(check("a", "m", "z") == Errc::ok);
  CHECK(check("m", "m", "z") == Errc::corruption);
  CHECK(check("z", "m", "z") == Errc::corruption);
  CHECK(check("a", "m", "a") == Errc::corruption);
}

}  // namespace
}  // namespace cambium
