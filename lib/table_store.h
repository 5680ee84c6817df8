// SPDX-License-Identifier: MIT OR Apache-2.0
// TableStore: what the engine needs of a table, whatever its kind. The only virtual seam above the device.
//
// The B+tree (lib/tree) and the level store (lib/levels) implement it; neither knows the other. A store is stateless:
// the state of a table is its TableRoot, a value, so a snapshot is nothing but an older root. Lookups and cursors run
// as plain calls as long as pages are cached, and say which page they miss otherwise.
//
// Lifetime   bytes in FoundEntry are valid until the next suspension unless their frame is pinned; those without a
//            frame until the next lookup.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <cambium/entry.h>
#include <cambium/ids.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "cache/page_cache.h"
#include "cache/page_writer.h"
#include "format/child_pointer.h"
#include "node/child_promise.h"
#include "node/node_view.h"

namespace cambium {

class PageStream;
class StreamBuffers;

// What a store keeps in memory of one version of a table, besides its root; nothing where the root says it all.
class TableContent {
 public:
  virtual ~TableContent() = default;
  virtual std::uint64_t entries() const noexcept = 0;
  // Bits of the superblock's features_needed that a file with this version has to have.
  virtual std::uint64_t features_needed() const noexcept { return 0; }
};

// A version of a table.
struct TableRoot {
  TableRoot() noexcept = default;  // no aggregate: coroutines take it by value
  format::ChildPointer pointer;
  std::uint32_t height = 0;  // levels; 0 = empty
  TableIndex index = TableIndex::automatic;
  Compression compression = Compression::none;  // of what is built from now on
  std::uint64_t node_pages = 0;
  std::uint64_t overflow_pages = 0;
  mutable FrameIndex frame = kNoFrame;          // where the root page was last seen
  std::shared_ptr<const TableContent> content;  // see TableStore::load()

  // How many; in a level store those of a key in several sstables, and tombstones, count each.
  std::uint64_t entries() const noexcept { return content ? content->entries() : pointer.entries; }
};

// damaged: the page at Lookup::missing is whole, yet not what the page above it promises.
enum class FindState : std::uint8_t { absent, found, missing, damaged };

// A point lookup on its way: where to go on when the missing page has arrived, or where it ended (damaged).
struct Lookup {
  format::ChildPointer missing;
  unsigned level = 0;
  bool started = false;
  PageCache::Hint parent = {};      // the branch that led to it, while that is still cached
  std::uint32_t index = 0;          // which child of it
  FrameIndex arrived = kNoFrame;    // where `missing` is now; whoever fetched it sets it, and keeps it pinned
  node::ChildPromise promise = {};  // of that branch about `missing`
  // Where a table has several sources of entries (sstables): the one being asked, and how far that is.
  std::uint32_t source = 0;
  enum class Stage : std::uint8_t { next, filter, learned, index } stage = Stage::next;
  struct Note {
    alignas(8) unsigned char bytes[56];
  } note = {};  // the source's own, while it waits
};

struct FoundEntry {
  // That holds its bytes. None: they came from a packed leaf or the cache of rows, and are to be copied before the next
  // lookup.
  FrameIndex frame = kNoFrame;
  node::LeafEntry entry{};
};

// One of several lookups made together.
struct MultiLookup {
  Bytes key;
  Lookup lookup;
  FoundEntry found;
  FindState state = FindState::missing;
};

// One change of a sorted run: the newest write of a key.
struct Change {
  const char* key;
  const char* value;
  std::uint32_t value_bytes;
  std::uint16_t key_bytes;
  bool remove;

  Bytes key_view() const noexcept { return {key, key_bytes}; }
  Bytes value_view() const noexcept { return {value, value_bytes}; }
  // Changes lie in the write buffer in the order of their writing: each is a miss unless it is asked for in time.
  static constexpr std::size_t kPrefetchAhead = 8;
  void prefetch() const noexcept {
    __builtin_prefetch(key);
    __builtin_prefetch(value);
    __builtin_prefetch(value + 64);
  }
};

// A position in one version of a table, and the entries of the page around it.
//
// The entries of a page are laid out for a scan to hand on as they are. `kind(i)` tells the ones whose value is a
// reference to be followed first. Everything is valid until the cursor moves.
class TableCursor {
 public:
  virtual ~TableCursor() = default;

  // Loads the page that holds the first entry not below `key` (the last entry below it, or not above it when
  // `inclusive`, when going backwards), and stands on that entry. An empty key means the end to start from.
  virtual Task<Status> seek(Bytes key, bool inclusive) = 0;
  // Moves past the last entry of the current page, in the cursor's direction. Suspends only on a miss.
  virtual Task<Status> next_page() = 0;
  // The same as a plain call: false when it would have to suspend.
  virtual bool try_next_page() = 0;

  bool valid() const noexcept { return position_ < count_; }
  const Entry& entry() const noexcept { return entries_[position_]; }
  format::EntryKind kind() const noexcept { return kinds_[position_]; }
  void advance(std::size_t entries) noexcept { position_ += entries; }
  void step() noexcept { ++position_; }  // within the page; then valid() says whether to load the next one
  std::span<const Entry> rest_of_page() const noexcept { return {entries_.data() + position_, count_ - position_}; }
  std::span<const format::EntryKind> rest_of_kinds() const noexcept {
    return {kinds_.data() + position_, count_ - position_};
  }
  bool page_has_references() const noexcept { return has_references_; }
  void skip_page() noexcept { position_ = count_; }
  bool at_end() const noexcept { return at_end_; }  // no page beyond the current one
  PageId page() const noexcept { return page_; }    // the current one, for errors; kNoPage: put together from several

 protected:
  // In the direction of travel; the vectors only grow, `count_` of them are the page.
  std::vector<Entry> entries_;
  std::vector<format::EntryKind> kinds_;
  std::size_t count_ = 0;
  std::size_t position_ = 0;
  bool has_references_ = false;
  bool at_end_ = false;
  PageId page_ = kNoPage;
};

enum class Direction : std::uint8_t { forward, reverse };

struct CursorOptions {
  Direction direction = Direction::forward;
  unsigned readahead_pages = 32;  // most leaves in flight ahead of the cursor
  std::uint64_t entries_max = 0;  // so many will be asked for, about: nothing is read ahead for more; 0 = unknown
  // Everything will be walked: in large reads, past the cache, from the beginning. Otherwise only a scan that keeps
  // missing leaves which lie one behind the other does so.
  bool bulk = false;
  PageStream* stream = nullptr;  // to go on with: the cursors of one sequence share it. Default: one of its own
};

// A place that a walk could not read, or that does not fit. What lies below it is passed over.
struct DamagedPlace {
  PageId page{};              // the first page of it; kNoPage: the table as a whole
  std::uint64_t entries = 0;  // that it holds, as the page above it says
  std::string low;            // of the keys in [low, high); `high` empty: to the last key
  std::string high;
  Error reason;  // names file and page
};

// What a walk over everything reachable from a root reports: to the checker, the scrub, and salvage.
class PageVisitor {
 public:
  virtual ~PageVisitor() = default;
  // A run of pages that the table uses, and the generation that wrote it. An error is an objection, and is reported as
  // damage: the run is not what it should be (it was met before, it is free), and is not followed.
  virtual Status visit(PageRun run, Generation birth) = 0;
  virtual void damaged(const DamagedPlace&) {}
  // A leaf that is whole and fits; its bytes are good until the task ends. An error ends the walk.
  virtual Task<Status> leaf(const node::NodeView& leaf, Bytes low, Bytes high);
  // So many pages were read since the walk began: the place to wait. An error ends the walk.
  virtual Task<Status> pace(std::uint64_t pages_read);
};

// Whoever wants to know of the leaves that a builder makes.
class LeafSink {
 public:
  virtual ~LeafSink() = default;
  // The next leaf, and the lower bound that a branch holds for it (that of the first is open, and empty).
  virtual void leaf(Bytes bound, const format::ChildPointer& pointer) = 0;
};

// The pages of packed leaves that a builder made, and what their leaves are without it.
struct PackedLeaves {
  std::uint64_t pages = 0;
  std::uint64_t bytes = 0;  // of the leaves as nodes
};

struct BuilderOptions {
  TableIndex index = TableIndex::automatic;     // of the table to be built
  Compression compression = Compression::none;  // likewise; only of sstables
  // Told of every leaf; then no branch is written before the last leaf, and they wait in memory for it.
  LeafSink* leaves = nullptr;
};

// Builds an immutable table from a sorted stream, every node full. Nothing is read.
//
// Lifetime   keys and values are copied by add().
class SortedBuilder {
 public:
  virtual ~SortedBuilder() = default;

  // `value` is what the leaf holds: the value itself, an overflow reference, nothing for a tombstone. False when the
  // key is not above the one before. After it, pump() while ready().
  virtual bool add(Bytes key, Bytes value, format::EntryKind kind) = 0;
  // A value too long for a leaf: written to extents of its own.
  virtual Task<Status> add_long(Bytes key, Bytes value) = 0;
  virtual bool ready() const noexcept = 0;
  virtual Task<Status> pump() = 0;
  virtual Task<Result<TableRoot>> finish() = 0;
  // The one added last; empty before the first. Good until the next add().
  virtual Bytes last_key() const noexcept = 0;
  virtual PackedLeaves packed() const noexcept { return {}; }
};

class TableStore {
 public:
  virtual ~TableStore() = default;

  // Brings `root.content` into memory, where the kind has one and it is not there yet. Everything below but relocate()
  // and check() requires it.
  virtual Task<Status> load(TableRoot& root);

  // Goes on with `lookup` as far as pages are cached. Requires: root not empty.
  virtual FindState find(const TableRoot& root, Bytes key, Lookup& lookup, FoundEntry& found) noexcept = 0;
  // The same for several keys, interleaved so that their memory misses overlap. Those already found are left alone.
  virtual void find_many(const TableRoot& root, std::span<MultiLookup> lookups) noexcept = 0;

  virtual std::unique_ptr<TableCursor> cursor(const TableRoot& root, CursorOptions options) = 0;

  // A new table. Its pages go through `writer`, which outlives it.
  virtual std::unique_ptr<SortedBuilder> builder(PageWriter& writer, BuilderOptions options) = 0;

  // The table after the changes, which are sorted and unique. The old version stays as it is.
  virtual Task<Result<TableRoot>> apply(TableRoot root, std::span<const Change> changes, PageWriter& writer) = 0;
  // The same table without a page at or beyond `limit`; at most about `pages_max` pages are moved, and
  // `more` says whether some are left.
  virtual Task<Result<TableRoot>> relocate(TableRoot root, PageId limit, std::uint64_t pages_max, PageWriter& writer,
                                           bool& more) = 0;

  // A table on its way out: the same without a part of it, so that `leaves`, which counts the parts, comes to about
  // `leaves_max`. Whatever is left is whole.
  virtual Task<Result<TableRoot>> cut(TableRoot root, std::size_t leaves_max, PageWriter& writer,
                                      std::size_t& leaves) = 0;

  // Reads and verifies everything below the root, past the cache, and reports every run of pages and every damaged
  // place. Errors: the first damage, after everything was looked at; or at once what the visitor answered.
  virtual Task<Status> check(const TableRoot& root, PageVisitor& visitor) = 0;
};

inline Task<Status> TableStore::load(TableRoot&) { co_return Status(); }

}  // namespace cambium
