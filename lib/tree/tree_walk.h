// SPDX-License-Identifier: MIT OR Apache-2.0
// A walk over every page of one version of a tree, read past the cache and verified, in the order of the keys.
//
// The whole check, the background scrub and salvage are this walk with different visitors. Damage does not stop it: the
// visitor is told, what lies below the damaged page is passed over, and the walk goes on behind it.
//
// Invariants
//   1. A page is followed only if it is whole, fits between the separators above it, and visit() has no objection.
//   2. Levels fall by one with every step down, and a visitor that objects to a page met before is not led there again:
//      the walk ends, whatever refers to what.
//   3. Nothing is in flight between steps.
//
// Units      one step is one branch, up to PageReader::kBatchPages neighbouring leaves, or one value in pieces of as
// many
//            pages, with pace() between them.
// Errors     step() fails only for what is no damage of the file: no memory, or what the visitor answers.
// Suspends   step().
// Lifetime   the version's generation stays live from begin() until the last step: its pages are not reused meanwhile.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cache/page_reader.h"
#include "table_store.h"

namespace cambium {

class TreeWalk {
 public:
  // What becomes of values in extents of their own: reported by visit() in any case.
  enum class Values : std::uint8_t { verify, skip };
  // Sstables have them; in any other tree they are damage.
  enum class Tombstones : std::uint8_t { refuse, allow };

  TreeWalk(PageReader& reader, PageVisitor& visitor, Values values, Tombstones tombstones = Tombstones::refuse);

  // Stands before the first key not below `from`. Requires: root not empty.
  void begin(const TableRoot& root, Bytes from);
  bool done() const noexcept { return stack_.empty() && values_.empty(); }
  Task<Status> step();

  // Where another walk, maybe of a newer version, may take over: every key below was seen. Requires: can_pause(),
  // which is false at the end and before the values of the leaves read last.
  bool can_pause() const noexcept { return values_.empty() && !stack_.empty(); }
  const std::string& next_key() const noexcept { return stack_.back().low; }

  std::uint64_t pages_read() const noexcept { return pages_read_; }  // tries at damaged ones included
  std::uint64_t node_pages() const noexcept { return node_pages_; }
  std::uint64_t overflow_pages() const noexcept { return overflow_pages_; }
  const Status& first_damage() const noexcept { return first_damage_; }

 private:
  // A page to visit, with the bounds that its parent promises. Ordered so that the stack stays small: depth * fan-out.
  struct Pending {
    format::ChildPointer pointer;
    unsigned level;
    std::string low;   // every key is >= low
    std::string high;  // every key is < high, unless empty
  };
  struct PendingValue {
    std::string reference;
    std::string key;
  };
  const char* misfit_of(const node::NodeSpan& nodes, const Pending& at);
  void enter_branch(const node::NodeView& branch, const Pending& at);
  Task<Status> enter_leaf(const node::NodeView& leaf, const Pending& at);
  void enter_value(const node::NodeView& leaf, std::size_t index, Bytes reference);
  Task<Status> step_value();
  void damaged(PageId page, std::uint64_t entries, const std::string& low, const std::string& high,
               const Error& reason);

  PageReader& reader_;
  PageVisitor& visitor_;
  Values value_mode_;
  Tombstones tombstones_;
  std::string from_;
  std::vector<Pending> stack_;
  std::vector<PendingValue> values_;  // of the leaves read last, the last one first
  std::vector<char> key_;
  std::uint64_t pages_read_ = 0;
  std::uint64_t node_pages_ = 0;
  std::uint64_t overflow_pages_ = 0;
  Status first_damage_;
};

}  // namespace cambium
