// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/index_check.h"

#include <catch2/catch.hpp>

#include <functional>

#include "levels/learned_index.h"
#include "lib/levels/index_fixture.h"
#include "lib/levels/level_fixture.h"

namespace cambium {
namespace {

using namespace test;

class Findings final : public PageVisitor {
 public:
  Status visit(PageRun run, Generation birth) override { return pages.visit(run, birth); }
  void damaged(const DamagedPlace& place) override { places.push_back(place); }
  PageSet pages;
  std::vector<DamagedPlace> places;
};

Task<Status> check_one(LevelStore& store, const Sstable& table, PageVisitor& visitor) {
  Status whole = co_await store.check_sstable(table, visitor);
  co_return whole;
}

// How a lookup ends: what find() says when nothing is missing any more, or the error of a page that was.
Task<Result<FindState>> look_up(LevelStore& store, const TableRoot& root, Bytes key) {
  Lookup lookup;
  FoundEntry found;
  PageRef page;
  for (;;) {
    const FindState state = store.find(root, key, lookup, found);
    if (state != FindState::missing) co_return state;
    Result<PageRef> fetched = co_await store.cache().fetch(lookup.missing, lookup.level);
    if (!fetched) co_return fetched.error();
    page = std::move(*fetched);
    lookup.arrived = page.frame();
  }
}

// One sstable with an index of two directory pages, and what somebody makes of its pages, with right checksums.
class Forger {
 public:
  Forger() : levels_(400, 4096) {
    rt::Random random(4);
    levels_.root.index = TableIndex::learned;
    Batch batch;
    for (const std::string& key : index_keys(random, IndexKeys::uniform, 2400)) batch[key] = std::string(900, 'v');
    levels_.apply(batch);
    table_ = *version_of(levels_.root).runs().front().tables.front();
    REQUIRE(table_.index.directory_pages() == 2);
  }
  std::string peek(PageId page) { return levels_.tree.base.disk().peek(kFile, raw(page) * kPageBytes, kPageBytes); }
  std::uint32_t poke(PageId page, std::string bytes) {
    const std::uint32_t checksum = format::seal_page(bytes.data());
    levels_.tree.base.disk().poke(kFile, raw(page) * kPageBytes, bytes);
    levels_.tree.cache->invalidate(page);
    return checksum;
  }
  void forge_root(const std::function<void(std::string&)>& change) {
    std::string bytes = peek(table_.index.root.id());
    change(bytes);
    table_.index.root.checksum = poke(table_.index.root.id(), bytes);
  }
  void forge_directory(std::uint32_t page, const std::function<void(std::string&)>& change) {
    std::string bytes = peek(table_.directory_page(page));
    change(bytes);
    const std::uint32_t checksum = poke(table_.directory_page(page), bytes);
    forge_root([&](std::string& root) {
      const LearnedIndexView view(root.data());
      char* const at = root.data() + sizeof(format::LearnedRootHeader) + 20 * view.segment_count() + 4 * page;
      rt::store_le32(at, checksum);
    });
  }
  Status check(Findings& findings) { return levels_.tree.base.run(check_one(levels_.store, table_, findings)); }
  const Sstable& table() const { return table_; }
  const Model& model() const { return levels_.model; }
  Result<FindState> find(const std::string& key) {
    TableRoot root = levels_.root;
    root.content = LevelVersion::of({{std::make_shared<const Sstable>(table_), SstablePlace{0, 1}}}).value();
    return levels_.tree.base.run(look_up(levels_.store, root, key));
  }

 private:
  LevelFixture levels_;
  Sstable table_;
};

TEST_CASE("index check: a whole index is met page by page, and nothing is said of it") {
  Forger forger;
  Findings findings;
  REQUIRE(forger.check(findings));
  CHECK(findings.places.empty());
  CHECK(findings.pages.count == forger.table().pages());
  CHECK(findings.pages.has(raw(forger.table().index.root.id())));
}

TEST_CASE("index check: an index that leads to the wrong leaf is damage, though its checksums are right") {
  Forger forger;
  std::size_t least = 1;
  SECTION("heads of the leaves are those of their neighbours") {
    forger.forge_directory(1, [](std::string& page) {
      const std::uint64_t head = rt::load_le64(page.data() + format::kDirectoryHeads + 8 * 8);
      rt::store_le64(page.data() + format::kDirectoryHeads + 8 * 7, head);
    });
  }
  SECTION("checksums of two leaves are swapped") {
    forger.forge_directory(0, [](std::string& page) {
      char* const at = page.data() + format::kDirectoryChecksums + 4 * 20;
      const std::uint32_t one = rt::load_le32(at);
      rt::store_le32(at, rt::load_le32(at + 4));
      rt::store_le32(at + 4, one);
    });
    least = 2;
  }
  SECTION("the line is flat") {
    forger.forge_root([](std::string& page) {
      const std::size_t segments = LearnedIndexView(page.data()).segment_count();
      std::fill_n(page.begin() + static_cast<std::ptrdiff_t>(sizeof(format::LearnedRootHeader) + 8 * segments),
                  8 * segments, '\0');
    });
    least = 100;
  }
  Findings findings;
  CHECK(forger.check(findings).code() == Errc::corruption);
  CHECK(findings.places.size() >= least);
  for (const DamagedPlace& place : findings.places) {
    CHECK(place.reason.message().find("leads elsewhere") != std::string_view::npos);
  }
}

TEST_CASE("index check: pages of an index that are not what they should be are damage, and named") {
  Forger forger;
  PageId named = forger.table().index.root.id();
  SECTION("a root of another number of leaves") {
    forger.forge_root(
        [](std::string& page) { ++reinterpret_cast<format::LearnedRootHeader*>(page.data())->leaf_count; });
  }
  SECTION("a directory page out of its place") {
    named = forger.table().directory_page(1);
    forger.forge_directory(1, [](std::string& page) {
      reinterpret_cast<format::LearnedDirectoryHeader*>(page.data())->index = 0;
      rt::store_le64(page.data() + format::kDirectoryHeads, 0);
    });
  }
  SECTION("a directory page with heads out of order") {
    named = forger.table().directory_page(0);
    forger.forge_directory(
        0, [](std::string& page) { rt::store_le64(page.data() + format::kDirectoryHeads + 80, ~std::uint64_t{0}); });
  }
  SECTION("a node where the root should be") {
    const std::string leaf = forger.peek(forger.table().leaf_page(3));
    forger.forge_root([&](std::string& page) { page.replace(4, 4, leaf, 4, 4); });
  }
  Findings findings;
  CHECK(forger.check(findings).code() == Errc::corruption);
  REQUIRE(findings.places.size() == 1);
  CHECK(findings.places[0].page == named);
  // A lookup that comes by ends there, and one that does not finds its key.
  std::size_t ended = 0;
  for (const auto& [key, value] : forger.model()) {
    const Result<FindState> state = forger.find(key);
    const bool refused = state ? state.value() == FindState::damaged : state.code() == Errc::corruption;
    ended += refused ? 1 : 0;
    if (!refused) REQUIRE(state.value() == FindState::found);
  }
  CHECK(ended > 100);
}

}  // namespace
}  // namespace cambium
