// SPDX-License-Identifier: MIT OR Apache-2.0
// One tree on a simulated disk, with what it stands on, beside a std::map that says what must be in it.
#pragma once

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>

#include "cache/overflow_value.h"
#include "cache/page_cache.h"
#include "cache/page_stream.h"
#include "cache/page_writer.h"
#include "lib/node/key_sets.h"
#include "lib/space/device_fixture.h"
#include "node/node_builder.h"
#include "space/space_map.h"
#include "tree/tree_store.h"

namespace cambium::test {

using Model = std::map<std::string, std::string>;
using Pairs = std::vector<std::pair<std::string, std::string>>;
using Batch = std::map<std::string, std::optional<std::string>>;  // no value: delete

inline Task<Result<std::string>> value_of(BlockDevice& device, Bytes stored, format::EntryKind kind) {
  if (kind == format::EntryKind::value) co_return stored.str();
  OverflowBuffer value = co_await check(read_overflow(device, OverflowView(stored)));
  co_return value.bytes().str();
}

// What a cursor shows from `from` on, at most `most` entries.
inline Task<Status> collect(TableStore& store, PageCache& cache, const TableRoot& root, CursorOptions options,
                            Bytes from, bool inclusive, std::size_t most, Pairs& out) {
  std::unique_ptr<TableCursor> cursor = store.cursor(root, options);
  co_await check(cursor->seek(from, inclusive));
  while (out.size() < most) {
    if (!cursor->valid()) {
      if (cursor->at_end()) break;
      const bool moved = cursor->try_next_page();
      if (!moved) {
        co_await check(cursor->next_page());
      }
      continue;
    }
    std::string key = cursor->entry().key.str();
    std::string value = co_await check(value_of(cache.device(), cursor->entry().value, cursor->kind()));
    out.emplace_back(std::move(key), std::move(value));
    cursor->step();
  }
  co_return Status();
}

inline Task<Result<std::optional<std::string>>> lookup(TableStore& store, PageCache& cache, const TableRoot& root,
                                                       Bytes key) {
  if (root.height == 0) co_return std::optional<std::string>();
  Lookup state;
  FoundEntry found;
  PageRef page;
  for (;;) {
    const FindState outcome = store.find(root, key, state, found);
    if (outcome == FindState::absent) co_return std::optional<std::string>();
    if (outcome == FindState::found) break;
    Result<PageRef> fetched = co_await cache.fetch(state.missing, state.level);
    if (!fetched) co_return fetched.error();
    page = std::move(*fetched);
  }
  std::string value = co_await check(value_of(cache.device(), found.entry.value, found.entry.kind));
  co_return std::optional<std::string>(std::move(value));
}

inline Task<Result<TableRoot>> apply_changes(TableStore& store, TableRoot root, std::span<const Change> changes,
                                             PageWriter& writer) {
  TableRoot next = co_await check(store.apply(root, changes, writer));
  co_await check(writer.finish());
  co_return next;
}
inline Task<Result<TableRoot>> relocate_pages(TableStore& store, TableRoot root, PageId limit, std::uint64_t pages_max,
                                              PageWriter& writer, bool& more) {
  TableRoot next = co_await check(store.relocate(root, limit, pages_max, writer, more));
  co_await check(writer.finish());
  co_return next;
}
inline Task<Status> write_space(SpaceMap& space, Generation generation, WriteGroup& pages) {
  format::Superblock superblock{};
  Status written = co_await space.write_changes(generation, superblock, pages);
  co_return written;
}
inline Task<void> abandon_writer(PageWriter& writer) { co_await writer.abandon(); }

// Every page that a walk meets, each once.
class PageSet final : public PageVisitor {
 public:
  Status visit(PageRun run, Generation) override {
    for (std::uint32_t i = 0; i < run.pages; ++i) {
      const std::uint64_t page = raw(run.first) + i;
      if (page >= pages.size()) pages.resize(page + 1);
      if (pages[page]) return Error(Errc::corruption, "page " + std::to_string(page) + " is used twice");
      pages[page] = true;
      ++count;
    }
    return {};
  }
  bool has(std::uint64_t page) const { return page < pages.size() && pages[page]; }
  std::vector<bool> pages;
  std::uint64_t count = 0;
};

class TreeFixture {
 public:
  static constexpr std::size_t kSlotBytes = 16 * kPageBytes;
  static constexpr std::size_t kSlots = 6;
  static constexpr std::size_t kPieces = 12;
  static constexpr std::uint32_t kPiecePages = 8;

  explicit TreeFixture(std::size_t frames, std::uint64_t file_pages = 256,
                       const SimOptions& options = {.seed = 1, .eager = true})
      : base(file_pages, options, frames + frames / 64 + kSlots * 16 + kPieces * kPiecePages + 16),
        space(SpaceMap::format(base.device(), file_pages, kFileId)),
        cache(std::make_unique<PageCache>(base.device(), base.arena(), base.memory(frames + frames / 64 + 1), frames,
                                          kFileId)),
        staging(base.device(), base.memory(kSlots * 16), kSlots, kSlotBytes),
        streams(base.device(), base.memory(kPieces * kPiecePages), kPieces, kPiecePages),
        store(*cache, TreeStore::Of::tables, &streams) {
    commit();
  }

  // The commit protocol, without the superblock: the tree's tests never lose power.
  void commit() {
    base.run(write_space(*space, generation, staging)).value();
    space->committed(generation, slot);
    slot = 1 - slot;
    generation = next(generation);
  }
  PageWriter make_writer() { return PageWriter(*space, *cache, staging, kSlotBytes, kFileId, generation); }

  static std::vector<Change> changes_of(const Batch& batch) {
    std::vector<Change> changes;
    for (const auto& [key, value] : batch) {
      changes.push_back({key.data(), value ? value->data() : "", value ? static_cast<std::uint32_t>(value->size()) : 0,
                         static_cast<std::uint16_t>(key.size()), !value.has_value()});
    }
    return changes;
  }
  void apply(const Batch& batch) {
    const std::vector<Change> changes = changes_of(batch);
    PageWriter writer = make_writer();
    Result<TableRoot> next = base.run(apply_changes(store, root, changes, writer));
    if (!next) FAIL(std::string(next.error().message()));
    root = *next;
    last_writer = writer.stats();
    commit();
    for (const auto& [key, value] : batch) {
      if (value) {
        model[key] = *value;
      } else {
        model.erase(key);
      }
    }
  }
  bool relocate(PageId limit, std::uint64_t pages_max) {
    PageWriter writer = make_writer();
    bool more = false;
    Result<TableRoot> next = base.run(relocate_pages(store, root, limit, pages_max, writer, more));
    if (!next) FAIL(std::string(next.error().message()));
    root = *next;
    last_writer = writer.stats();
    commit();
    return more;
  }

  Pairs read(const TableRoot& at, CursorOptions options, Bytes from = {}, bool inclusive = true,
             std::size_t most = ~std::size_t{0}) {
    Pairs out;
    const Status status = base.run(collect(store, *cache, at, options, from, inclusive, most, out));
    if (!status) FAIL(std::string(status.error().message()));
    return out;
  }
  std::optional<std::string> get(const TableRoot& at, Bytes key) {
    return base.run(lookup(store, *cache, at, key)).value();
  }

  void require_contents(const TableRoot& at, const Model& expected) {
    const Pairs forward = read(at, {});
    REQUIRE(forward.size() == expected.size());
    REQUIRE(std::equal(forward.begin(), forward.end(), expected.begin(),
                       [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
    const Pairs reverse = read(at, {.direction = Direction::reverse});
    REQUIRE(reverse.size() == expected.size());
    REQUIRE(std::equal(reverse.begin(), reverse.end(), expected.rbegin(),
                       [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; }));
  }
  void require_finds(const TableRoot& at, const Model& expected, rt::Random& random, std::size_t probes) {
    if (expected.empty()) return;
    for (std::size_t i = 0; i < probes; ++i) {
      const Pairs::value_type& some = *std::next(
          expected.begin(), static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(expected.size(), 500))));
      REQUIRE(get(at, some.first) == some.second);
      const std::string absent = some.first + "~";
      const auto it = expected.find(absent);
      REQUIRE(get(at, absent) == (it == expected.end() ? std::nullopt : std::optional(it->second)));
    }
  }
  // The tree is sound, and the newest version's pages are exactly what the space map says is in use.
  void require_sound() {
    PageSet reachable;
    const Status status = base.run(store.check(root, reachable));
    if (!status) FAIL(std::string(status.error().message()));
    REQUIRE(reachable.count == root.node_pages + root.overflow_pages);
    REQUIRE((root.height == 0) == model.empty());
    if (!model.empty()) REQUIRE(root.pointer.entries == model.size());
    std::uint64_t own = 0;
    for (std::uint64_t page = format::kSuperblockPages; page < space->file_pages(); ++page) {
      const std::uint32_t group = format::group_of(PageId{page});
      if (page - raw(format::group_first_page(group)) < format::group_own_pages(group)) {
        ++own;
        continue;
      }
      if (space->used(PageId{page}) != reachable.has(page))
        FAIL("page " << page << " is " << (reachable.has(page) ? "lost" : "leaked"));
    }
    REQUIRE(space->used_pages() == format::kSuperblockPages + own + reachable.count);
    REQUIRE(cache->pinned() == 0);
  }

  DeviceFixture base;
  std::unique_ptr<SpaceMap> space;
  std::unique_ptr<PageCache> cache;
  WriteGroup staging;
  StreamBuffers streams;
  TreeStore store;
  TableRoot root;
  Generation generation{1};
  unsigned slot = 0;
  Model model;
  WriterStats last_writer;

  ~TreeFixture() { base.settle(); }
};

}  // namespace cambium::test
