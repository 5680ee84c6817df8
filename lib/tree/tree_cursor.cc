// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/tree_cursor.h"

#include <algorithm>
#include <utility>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "cache/page_reader.h"
#include "tree/tree_store.h"

namespace cambium {

using node::NodeSpan;
using node::NodeView;

namespace {

constexpr unsigned kWindowBeforeStream = 16;  // leaves of read-ahead; who wants less wants no stream either

}  // namespace

TreeCursor::TreeCursor(PageCache& cache, StreamBuffers* streams, const TableRoot& root, CursorOptions options,
                       unsigned leaf_level)
    : cache_(cache), streams_(streams), root_(root), options_(options), leaf_level_(leaf_level) {
  fence_.reserve(kKeyBytesMax);
  scratch_.resize(kKeyBytesMax + NodeView::kKeySlack);
}

std::size_t TreeCursor::choose_child(const NodeView& branch, Bytes key, bool inclusive) const noexcept {
  if (key.empty()) return forward() ? 0 : branch.count() - 1;
  return forward() || inclusive ? branch.child_index(key) : branch.child_index_below(key);
}

Task<Status> TreeCursor::descend(Bytes key, bool inclusive) {
  has_fence_ = false;
  ahead_ = 0;
  branch_.reset();
  leaf_.reset();
  format::ChildPointer pointer = root_.pointer;
  PageRef above;
  std::size_t above_index = 0;
  for (unsigned level = root_.height - 1; level > 0; --level) {
    PageRef page = co_await check(fetch_page(cache_, pointer, level));
    const NodeView branch(page.bytes());
    if (above) {
      const char* const wrong = node::validate_child(NodeView(above.bytes()), above_index, branch);
      if (wrong != nullptr) co_return misfit(cache_.device(), branch.id(), wrong);
    }
    const std::size_t index = choose_child(branch, key, inclusive);
    pointer = branch.child(index);
    if (level == 1) {
      index_ = index;
      branch_ = std::move(page);
      break;
    }
    // The deepest neighbour on the way down bounds the branch at level 1.
    const std::size_t bound = forward() ? index + 1 : index;
    if (forward() ? bound < branch.count() : bound > 0) {
      fence_.assign(scratch_.data(), branch.separator(bound, scratch_.data()));
      has_fence_ = true;
      // The branch that comes next, so that a long scan need not wait for it.
      if (level == 2 && window_ > 1) cache_.prefetch(branch.child(forward() ? bound : index - 1), 1);
    }
    above = std::move(page);
    above_index = index;
  }
  above.reset();
  if (options_.bulk) start_stream();
  std::optional<NodeSpan> leaves;
  if (streaming()) leaves = co_await fetch_streamed(pointer);
  if (!leaves) {
    if (options_.entries_max != 0 && branch_) read_ahead_of_seek();
    PageRef leaf = co_await check(fetch_page(cache_, pointer, leaf_level_));
    leaves = leaves_of(leaf.bytes());
    co_await check(fitting(*leaves));
    leaf_ = std::move(leaf);
  }
  enter_leaf(*leaves, key, inclusive, true);
  co_return Status();
}

// ---- leaves in large reads ----------------------------------------------------------------------------------------

// Do the leaves ahead lie where one read would get most of them?
bool TreeCursor::lies_in_sequence(std::uint32_t piece_pages) const noexcept {
  constexpr std::size_t kLook = 16;
  const NodeView branch(branch_.bytes());
  const std::size_t ahead = std::min(kLook, forward() ? branch.count() - 1 - index_ : index_);
  const std::uint32_t here = branch.child(index_).page;
  std::size_t near = 0;
  for (std::size_t i = 1; i <= ahead; ++i) {
    const std::uint32_t page = branch.child(forward() ? index_ + i : index_ - i).page;
    near += (forward() ? page - here : here - page) < piece_pages ? 1u : 0u;
  }
  return ahead >= kLook / 2 && near * 4 >= ahead * 3;
}

void TreeCursor::start_stream() {
  if (streams_ == nullptr) return;
  if (options_.stream == nullptr) {
    own_stream_ = std::make_unique<PageStream>(*streams_, forward());
    options_.stream = own_stream_.get();
  }
  if (options_.bulk || lies_in_sequence(options_.stream->piece_pages())) options_.stream->start(options_.bulk);
}

// The leaf at index_, when the stream has it and it is what its branch promises. What is not, the cache is asked for,
// which says what is wrong.
std::optional<NodeSpan> TreeCursor::take_streamed(const format::ChildPointer& pointer) {
  const char* const page = options_.stream->find(pointer.id());
  if (page == nullptr) return std::nullopt;
  const Status whole = verify_page(cache_.device(), page, pointer, leaf_level_, cache_.file_id(), cache_.unpacker());
  if (!whole) return std::nullopt;
  const NodeSpan leaves = leaves_of(page);
  if (!fitting(leaves)) return std::nullopt;
  leaf_.reset();
  return leaves;
}

Task<std::optional<NodeSpan>> TreeCursor::fetch_streamed(format::ChildPointer pointer) {
  std::optional<NodeSpan> leaves = take_streamed(pointer);
  if (leaves) co_return leaves;
  const bool there = co_await options_.stream->fetch(pointer.id());
  if (there) leaves = take_streamed(pointer);
  co_return leaves;
}

Task<Status> TreeCursor::seek(Bytes key, bool inclusive) {
  window_ = 1;
  position_ = count_ = 0;
  at_end_ = root_.height == 0;
  if (at_end_) co_return Status();
  Status status = co_await descend(key, inclusive);
  if (!status) co_return status;
  while (!valid() && !at_end_) {
    status = co_await next_page();
    if (!status) co_return status;
  }
  co_return Status();
}

// What is unpacked takes the place of the page before, whose entries nobody may look at any more.
NodeSpan TreeCursor::leaves_of(const char* page) {
  if (!format::is_packed_leaf(page)) return NodeSpan(page);
  if (!unpacked_) unpacked_ = std::make_unique_for_overwrite<char[]>(format::kUnpackedBytesMax);
  return cache_.unpacker().unpack(page, unpacked_.get());
}

// A branch does not know where its outermost child in the direction of travel ends; an ancestor does.
bool TreeCursor::within_fence(const NodeSpan& leaves) noexcept {
  if (!has_fence_ || !branch_) return true;
  const NodeView branch(branch_.bytes());
  if (forward() ? index_ + 1 != branch.count() : index_ != 0) return true;
  const NodeView leaf = forward() ? leaves.back() : leaves.front();
  const std::size_t outermost = forward() ? leaf.count() - 1 : 0;
  const Bytes key(scratch_.data(), leaf.leaf_key(outermost, scratch_.data()));
  return forward() ? key < Bytes(fence_) : !(key < Bytes(fence_));
}

Status TreeCursor::fitting(const NodeSpan& leaves) {
  const char* wrong = nullptr;
  if (branch_) {
    wrong = node::validate_child(NodeView(branch_.bytes()), index_, leaves);
  } else if (root_.height == 1 && root_.pointer.entries != leaves.entries()) {
    wrong = "has another entry count than the table's root says";
  }
  if (wrong == nullptr && !within_fence(leaves)) wrong = "has keys beyond its bounds";
  return wrong == nullptr ? Status() : Status(misfit(cache_.device(), leaves.front().id(), wrong));
}

// Requires: the page is verified, and stays: leaf_ has it pinned, or the stream holds it, or it is unpacked.
void TreeCursor::enter_leaf(const NodeSpan& leaves, Bytes from, bool inclusive, bool bounded) {
  page_ = leaves.front().id();
  if (leaves.front().page() == unpacked_.get()) leaf_.reset();
  std::size_t first = 0;
  std::size_t end = leaves.entries();
  if (bounded && !from.empty()) {
    bool equal = false;
    const std::size_t at = leaves.entries_before(leaves.leaf_lower_bound(from, equal));
    if (forward()) {
      first = at + (equal && !inclusive ? 1 : 0);
    } else {
      end = at + (equal && inclusive ? 1 : 0);
    }
  }
  warm_next(end - first);
  load_entries(leaves, first, end);
  at_end_ = !has_fence_ && (!branch_ || (forward() ? index_ + 1 == NodeView(branch_.bytes()).count() : index_ == 0));
}

// Entries [first, end) of the page.
void TreeCursor::load_entries(const NodeSpan& leaves, std::size_t first, std::size_t end) {
  count_ = end - first;
  position_ = 0;
  if (entries_.size() < count_) {
    entries_.resize(count_);
    kinds_.resize(count_);
  }
  // An upper bound of the bytes of all keys, so that the buffer never moves under the entries.
  std::size_t prefix_bytes = 0;
  for (std::size_t i = 0; i < leaves.count(); ++i) prefix_bytes = std::max(prefix_bytes, leaves[i].prefix().size());
  const std::size_t bytes =
      count_ * (prefix_bytes + format::kHeadBytes) + leaves.count() * kPageBytes + NodeView::kKeySlack;
  if (keys_.size() < bytes) keys_.resize(bytes);
  // Locals: what is stored through `out` could be any member.
  char* out = keys_.data();
  Entry* const entries = entries_.data();
  format::EntryKind* const kinds = kinds_.data();
  LeafWarmer warmer = warmer_;
  bool references = false;
  const std::size_t step = forward() ? std::size_t{1} : ~std::size_t{0};
  std::size_t before = forward() ? 0 : leaves.entries();  // entries of leaves that were passed; those that are left
  std::size_t i = 0;
  for (std::size_t l = 0; l < leaves.count(); ++l) {
    const NodeView leaf = leaves[forward() ? l : leaves.count() - 1 - l];
    if (!forward()) before -= leaf.count();
    const std::size_t from = std::max(first, before) - before;
    const std::size_t to = end < before ? from : std::max(from, std::min(end - before, leaf.count()));
    const std::size_t last = i + (to - from);
    std::size_t index = forward() ? from : to - 1;
    const NodeView::LeafReader reader(leaf);
    for (; i < last; ++i, index += step) {
      warmer.step();
      node::LeafEntry entry;
      const std::size_t key_bytes = reader.read(index, out, entry);
      entries[i] = {Bytes(out, key_bytes), entry.value};
      kinds[i] = entry.kind;
      references |= entry.kind != format::EntryKind::value;
      out += key_bytes;
    }
    if (forward()) before += leaf.count();
  }
  CAMBIUM_ASSERT(i == count_);
  has_references_ = references;
}

// The hints beside the branch's children tell where the next leaves probably are: the hash table would be a line of
// memory to wait for.
void TreeCursor::warm_next(std::size_t entries) noexcept {
  warmer_.stop();
  if (!branch_ || streaming()) return;
  const NodeView branch(branch_.bytes());
  const std::size_t next = forward() ? index_ + 1 : index_ - 1;
  if (next >= branch.count()) return;  // also when index_ - 1 wrapped around
  const FrameIndex frame = cache_.expected_child(branch_.frame(), next, branch.child(next).id());
  if (frame == kNoFrame) return;
  warmer_.begin(cache_.bytes(frame), forward(), entries);
  // The header of the one after that, so that begin() does not wait for it when its turn comes.
  const std::size_t after = forward() ? index_ + 2 : index_ - 2;
  if (after >= branch.count()) return;
  const FrameIndex later = cache_.expected_child(branch_.frame(), after, branch.child(after).id());
  if (later != kNoFrame) cache_.warm_header(later);
}

// How many leaves after this one of the branch are needed for sure, as far as the asker has said how much it wants.
std::size_t TreeCursor::leaves_after(std::size_t index) const noexcept {
  const NodeView branch(branch_.bytes());
  const std::size_t left = forward() ? branch.count() - 1 - index : index;
  if (options_.entries_max == 0) return left;
  const std::uint64_t wanted = options_.entries_max > shown_ ? options_.entries_max - shown_ : 0;
  const std::uint64_t in_leaf = std::max<std::uint64_t>(branch.child(index).entries, 1);
  return wanted == 0 ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(left, (wanted - 1) / in_leaf));
}

// Asks for the next leaves of this branch. A miss doubles the window; a scan that never misses never gets here.
void TreeCursor::read_ahead(bool missed) {
  if (missed) window_ = std::min(window_ * 2, options_.readahead_pages);
  ahead_ = ahead_ > 0 ? ahead_ - 1 : 0;              // the cursor has just moved onto one of them
  if (window_ <= 1 || ahead_ > window_ / 2) return;  // refill in halves: fewer, larger submissions
  const NodeView branch(branch_.bytes());
  const std::size_t wanted = std::min<std::size_t>(window_, leaves_after(index_));
  for (; ahead_ < wanted; ++ahead_) {
    const std::size_t index = forward() ? index_ + 1 + ahead_ : index_ - 1 - ahead_;
    cache_.prefetch(branch.child(index), leaf_level_);
  }
}

// All that a short scan will want at once: the first leaf and those after it are waited for together.
void TreeCursor::read_ahead_of_seek() {
  const NodeView branch(branch_.bytes());
  const std::size_t most = std::min<std::size_t>(leaves_after(index_), options_.readahead_pages);
  if (most == 0 || cache_.find(branch.child(index_).id()) != kNoFrame) return;
  cache_.prefetch(branch.child(index_), leaf_level_);
  for (std::size_t i = 1; i <= most; ++i) {
    cache_.prefetch(branch.child(forward() ? index_ + i : index_ - i), leaf_level_);
  }
}

TreeCursor::Move TreeCursor::move_to_sibling() {
  if (at_end_) return Move::end;
  if (!branch_) return Move::descend;
  const NodeView branch(branch_.bytes());
  if (forward() ? index_ + 1 == branch.count() : index_ == 0) return Move::descend;
  const std::size_t next = forward() ? index_ + 1 : index_ - 1;
  if (streaming()) {
    const std::size_t left = std::exchange(index_, next);
    const std::optional<NodeSpan> leaves = take_streamed(branch.child(next));
    if (leaves) {
      enter_leaf(*leaves, Bytes(), true, false);
      return Move::done;
    }
    index_ = left;
  }
  // A hint leads to a leaf that was compared with its bounds before; the way through the hash table compares.
  const PageCache::Hint hint = cache_.guess_child(branch_.frame(), next, true);
  const FrameIndex frame = cache_.right(hint, leaf_level_)
                               ? hint.frame
                               : cache_.find_child(branch_.frame(), next, branch.child(next), leaf_level_);
  if (frame == kNoFrame) return Move::miss;
  const std::size_t here = std::exchange(index_, next);
  const NodeSpan leaves = leaves_of(cache_.bytes(frame));
  if (!within_fence(leaves)) {
    index_ = here;
    return Move::miss;  // which says what is wrong
  }
  cache_.touch(frame);
  leaf_ = cache_.take_prefetched(frame);
  if (!streaming()) read_ahead(false);
  enter_leaf(leaves, Bytes(), true, false);
  return Move::done;
}

bool TreeCursor::try_next_page() {
  shown_ += count_;
  position_ = count_ = 0;
  const Move move = move_to_sibling();
  return move == Move::done || move == Move::end;
}

Task<Status> TreeCursor::next_page() {
  shown_ += count_;
  position_ = count_ = 0;
  const Move move = move_to_sibling();
  if (move == Move::miss) {
    const std::size_t here = index_;
    index_ = forward() ? index_ + 1 : index_ - 1;
    const format::ChildPointer pointer = NodeView(branch_.bytes()).child(index_);
    if (window_ >= std::max(options_.readahead_pages, kWindowBeforeStream)) start_stream();
    std::optional<NodeSpan> leaves;
    if (streaming()) leaves = co_await fetch_streamed(pointer);
    if (!leaves) {
      read_ahead(true);
      Result<PageRef> leaf = co_await fetch_page(cache_, pointer, leaf_level_);
      Status good = leaf ? Status() : Status(leaf.error());
      if (good) {
        leaves = leaves_of(leaf->bytes());
        good = fitting(*leaves);
      }
      if (!good) {  // a page that failed is not passed by: the next call meets it again
        index_ = here;
        co_return good;
      }
      leaf_ = std::move(*leaf);
    }
    enter_leaf(*leaves, Bytes(), true, false);
  } else if (move == Move::descend) {
    const std::string fence = fence_;
    Status status = co_await descend(fence, forward() && !CAMBIUM_PLANTED(fence_entry_skipped));
    if (!status) {
      fence_ = fence;
      branch_.reset();
      co_return status;
    }
  }
  co_return Status();
}

}  // namespace cambium
