// SPDX-License-Identifier: MIT OR Apache-2.0
// Verifies a whole tree: every page, every key against the separators above it, every count, every overflow value.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "cache/overflow_value.h"
#include "tree/tree_store.h"

namespace cambium {

using node::NodeView;

namespace {

// A page to visit, with the bounds that its parent promises. Ordered so that the stack stays small: depth * fan-out.
struct Pending {
  format::ChildPointer pointer;
  unsigned level;
  std::string low;   // every key is >= low
  std::string high;  // every key is < high, unless empty
};

Error broken(PageCache& cache, const Pending& at, std::string_view what) {
  return Error(Errc::corruption, rt::str("page ", at.pointer.page, " of ", cache.device().name(), " ", what),
               "the tree is inconsistent although its pages are intact; please report this");
}

class TreeChecker {
 public:
  TreeChecker(PageCache& cache, PageVisitor& visitor)
      : cache_(cache), visitor_(visitor), key_(kKeyBytesMax + NodeView::kKeySlack) {}

  Task<Status> run(const TableRoot& root) {
    stack_.push_back({root.pointer, root.height - 1, {}, {}});
    while (!stack_.empty()) {
      const Pending at = std::move(stack_.back());
      stack_.pop_back();
      PageRef page = co_await check(fetch_page(cache_, at.pointer, at.level));
      const NodeView view(page.bytes());
      co_await check(visitor_.visit({view.id(), 1}, view.generation()));
      if (at.level > 0) {
        co_await check(check_branch(view, at));
      } else {
        co_await check(check_leaf(view, at));
      }
      if (cache_.core().over_budget()) co_await cache_.core().yield();
    }
    if (pages_ != root.node_pages || overflow_pages_ != root.overflow_pages) {
      co_return Error(Errc::corruption,
                      rt::str("a table of ", cache_.device().name(), " has ", pages_, " + ", overflow_pages_,
                              " pages, its catalog row says ", root.node_pages, " + ", root.overflow_pages));
    }
    co_return Status();
  }

 private:
  Status check_branch(const NodeView& view, const Pending& at) {
    ++pages_;
    std::uint64_t entries = 0;
    std::string previous = at.low;
    const std::size_t first = stack_.size();
    for (std::size_t i = 0; i < view.count(); ++i) {
      const std::string low = i == 0 ? at.low : std::string(key_.data(), view.separator(i, key_.data()));
      const std::string high =
          i + 1 == view.count() ? at.high : std::string(key_.data(), view.separator(i + 1, key_.data()));
      if ((i > 0 && low <= previous) || (!at.high.empty() && i > 0 && low >= at.high)) {
        return broken(cache_, at, "has separators out of order");
      }
      previous = low;
      entries += view.child(i).entries;
      stack_.push_back({view.child(i), at.level - 1, low, high});
    }
    if (entries != at.pointer.entries) return broken(cache_, at, "has another entry count than its parent says");
    std::reverse(stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
    for (std::size_t i = stack_.size(); i > first && stack_.size() - i < 32; --i) {
      cache_.prefetch(stack_[i - 1].pointer, at.level - 1);
    }
    return {};
  }

  Task<Status> check_leaf(const NodeView& view, const Pending& at) {
    ++pages_;
    if (view.count() != at.pointer.entries)
      co_return broken(cache_, at, "has another entry count than its parent says");
    std::string previous;
    for (std::size_t i = 0; i < view.count(); ++i) {
      const std::string key(key_.data(), view.leaf_key(i, key_.data()));
      if (i > 0 && key <= previous) co_return broken(cache_, at, "has keys out of order");
      if (key < at.low || (!at.high.empty() && key >= at.high))
        co_return broken(cache_, at, "has keys outside its bounds");
      previous = key;
      const node::LeafEntry entry = view.leaf_entry(i);
      if (entry.kind == format::EntryKind::overflow) {
        co_await check(check_value(OverflowView(entry.value)));
      } else if (entry.kind != format::EntryKind::value) {
        co_return broken(cache_, at, "has an entry of a kind that trees do not hold");
      }
    }
    co_return Status();
  }

  Task<Status> check_value(OverflowView overflow) {
    for (std::size_t i = 0; i < overflow.extent_count(); ++i) {
      overflow_pages_ += overflow.extent(i).pages;
      co_await check(visitor_.visit(overflow.extent(i), overflow.generation()));
    }
    OverflowBuffer value = co_await check(read_overflow(cache_.device(), overflow));
    co_return Status();
  }

  PageCache& cache_;
  PageVisitor& visitor_;
  std::vector<Pending> stack_;
  std::vector<char> key_;
  std::uint64_t pages_ = 0;
  std::uint64_t overflow_pages_ = 0;
};

}  // namespace

Task<Status> TreeStore::check(const TableRoot& root, PageVisitor& visitor) {
  if (root.height == 0) co_return Status();
  TreeChecker checker(cache_, visitor);
  Status status = co_await checker.run(root);
  co_return status;
}

}  // namespace cambium
