// SPDX-License-Identifier: MIT OR Apache-2.0
// A cursor over one version of a tree, forwards or backwards, a leaf at a time.
//
// Packed leaves are unpacked into memory of the cursor's own, and are one page to whoever walks it.
//
// It pins the current leaf and the branch above it, no more, so that many cursors fit a small cache; leaving a branch
// means one descent from the root by the fence key (once in about 150 leaves). Read-ahead comes from the branch, which
// knows the next leaves: the window doubles with every leaf up to the limit. From there on, and from the start in bulk,
// leaves that lie one behind the other are read by a PageStream.
//
// Suspends   seek() and next_page(), on a miss only.
// Lifetime   entries are valid until the cursor moves; the root's generation stays live while the cursor is.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/page_cache.h"
#include "cache/page_stream.h"
#include "table_store.h"
#include "tree/leaf_warmer.h"

namespace cambium {

class TreeCursor final : public TableCursor {
 public:
  // `streams`: nullptr: everything is read through the cache. `leaf_level`: what the cache is asked for leaves with.
  TreeCursor(PageCache& cache, StreamBuffers* streams, const TableRoot& root, CursorOptions options,
             unsigned leaf_level = 0);

  Task<Status> seek(Bytes key, bool inclusive) override;
  Task<Status> next_page() override;
  bool try_next_page() override;

 private:
  enum class Move : std::uint8_t { done, end, miss, descend };
  bool forward() const noexcept { return options_.direction == Direction::forward; }
  Move move_to_sibling();
  Task<Status> descend(Bytes key, bool inclusive);
  std::size_t choose_child(const node::NodeView& branch, Bytes key, bool inclusive) const noexcept;
  node::NodeSpan leaves_of(const char* page);
  bool within_fence(const node::NodeSpan& leaves) noexcept;
  Status fitting(const node::NodeSpan& leaves);
  void enter_leaf(const node::NodeSpan& leaves, Bytes from, bool inclusive, bool bounded);
  bool streaming() const noexcept { return options_.stream != nullptr && options_.stream->running(); }
  bool lies_in_sequence(std::uint32_t piece_pages) const noexcept;
  void start_stream();
  std::optional<node::NodeSpan> take_streamed(const format::ChildPointer& pointer);
  Task<std::optional<node::NodeSpan>> fetch_streamed(format::ChildPointer pointer);
  void load_entries(const node::NodeSpan& leaves, std::size_t first, std::size_t end);
  void read_ahead(bool missed);
  std::size_t leaves_after(std::size_t index) const noexcept;
  void read_ahead_of_seek();
  void warm_next(std::size_t entries) noexcept;

  PageCache& cache_;
  StreamBuffers* streams_;
  TableRoot root_;
  CursorOptions options_;
  unsigned leaf_level_;
  std::unique_ptr<PageStream> own_stream_;
  std::unique_ptr<char[]> unpacked_;  // packed leaves of the current page
  PageRef leaf_;                      // empty when the stream has it, or it is unpacked
  PageRef branch_;                    // the leaf's parent; empty when the leaf is the root
  std::size_t index_ = 0;             // of the leaf in the branch
  std::string fence_;                 // where the branch's neighbour begins, in the direction of travel
  bool has_fence_ = false;
  std::string scratch_;
  std::vector<char> keys_;   // the keys of the current page, put together
  LeafWarmer warmer_;        // of the next leaf
  unsigned window_ = 0;      // leaves of read-ahead
  std::uint64_t shown_ = 0;  // entries of pages before the current one
  std::size_t ahead_ = 0;    // leaves of this branch already asked for, counted in the direction of travel
};

}  // namespace cambium
