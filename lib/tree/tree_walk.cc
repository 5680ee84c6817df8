// SPDX-License-Identifier: MIT OR Apache-2.0
#include "tree/tree_walk.h"

#include <algorithm>
#include <utility>

#include <cambium/rt/check.h>

#include "tree/tree_store.h"

namespace cambium {

using node::NodeSpan;
using node::NodeView;

namespace {

// Anything else, such as no memory, says nothing about the file.
bool is_damage(Errc code) noexcept { return code == Errc::corruption || code == Errc::io; }

// The smallest key above `key`: a range of one key.
std::string just_above(const std::string& key) { return key + '\0'; }

}  // namespace

Task<Status> PageVisitor::leaf(const NodeView&, Bytes, Bytes) { co_return Status(); }
Task<Status> PageVisitor::pace(std::uint64_t) { co_return Status(); }

TreeWalk::TreeWalk(PageReader& reader, PageVisitor& visitor, Values values, Tombstones tombstones)
    : reader_(reader),
      visitor_(visitor),
      value_mode_(values),
      tombstones_(tombstones),
      key_(kKeyBytesMax + NodeView::kKeySlack) {}

void TreeWalk::begin(const TableRoot& root, Bytes from) {
  from_ = from.str();
  stack_.clear();
  values_.clear();
  stack_.push_back({root.pointer, root.height - 1, {}, {}});
}

void TreeWalk::damaged(PageId page, std::uint64_t entries, const std::string& low, const std::string& high,
                       const Error& reason) {
  if (first_damage_) first_damage_ = reason;
  visitor_.damaged({page, entries, low, high, reason});
}

// Keys ascend inside a node (validate_node), so the outermost ones tell.
const char* TreeWalk::misfit_of(const NodeSpan& nodes, const Pending& at) {
  const bool leaf = at.level == 0;
  const NodeView view = nodes.front();
  std::uint64_t entries = nodes.entries();
  if (!leaf) {
    entries = 0;
    for (std::size_t i = 0; i < view.count(); ++i) entries += view.child(i).entries;
  }
  if (entries != at.pointer.entries) return "has another entry count than its parent says";
  if (!leaf && view.count() == 1) return nullptr;
  const auto key = [&](const NodeView& node, std::size_t i) {
    return Bytes(key_.data(), leaf ? node.leaf_key(i, key_.data()) : node.separator(i, key_.data()));
  };
  const Bytes first = key(view, leaf ? 0 : 1);
  if (first < Bytes(at.low) || (!leaf && first == Bytes(at.low))) return "has keys below its bounds";
  const NodeView last = nodes.back();
  if (!at.high.empty() && !(key(last, last.count() - 1) < Bytes(at.high))) return "has keys above its bounds";
  for (std::size_t i = 0; leaf && tombstones_ == Tombstones::refuse && i < view.count(); ++i) {
    if (view.leaf_entry(i).kind == format::EntryKind::tombstone) return "has a tombstone, which trees do not hold";
  }
  return nullptr;
}

Task<Status> TreeWalk::step() {
  if (!values_.empty()) {
    Status stepped = co_await step_value();
    co_return stepped;
  }
  std::vector<Pending> batch;
  std::vector<PageReader::Wanted> wanted;
  do {
    batch.push_back(std::move(stack_.back()));
    stack_.pop_back();
    const bool packed = batch.back().level == 0 && tombstones_ == Tombstones::allow;  // maybe: it is an sstable's
    wanted.push_back({batch.back().pointer, packed ? format::kAnyLeafLevel : batch.back().level, Status()});
  } while (batch.back().level == 0 && batch.size() < PageReader::kBatchPages && !stack_.empty() &&
           stack_.back().level == 0);
  co_await reader_.read(wanted.data(), wanted.size());
  pages_read_ += wanted.size();

  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Pending& at = batch[i];
    Status whole = wanted[i].status;
    if (!whole && !is_damage(whole.code())) co_return whole;
    const NodeSpan nodes = whole ? reader_.nodes(i) : NodeSpan(reader_.page(i));
    const NodeView view = nodes.front();
    if (whole) {
      const char* const wrong = misfit_of(nodes, at);
      whole = wrong == nullptr ? visitor_.visit({view.id(), 1}, view.generation())
                               : Status(misfit(reader_.device(), view.id(), wrong));
    }
    if (!whole) {
      damaged(at.pointer.id(), at.pointer.entries, at.low, at.high, whole.error());
      continue;
    }
    ++node_pages_;
    if (at.level > 0) {
      enter_branch(view, at);
    } else {
      for (std::size_t leaf = 0; leaf < nodes.count(); ++leaf) {
        Status entered = co_await enter_leaf(nodes[leaf], at);
        if (!entered) co_return entered;
      }
    }
  }
  std::reverse(values_.begin(), values_.end());
  co_return Status();
}

void TreeWalk::enter_branch(const NodeView& branch, const Pending& at) {
  const std::size_t first = from_.empty() ? 0 : branch.child_index(from_);
  std::string high = at.high;
  for (std::size_t i = branch.count(); i > first; --i) {
    std::string low = i == 1 ? at.low : std::string(key_.data(), branch.separator(i - 1, key_.data()));
    stack_.push_back({branch.child(i - 1), at.level - 1, low, std::move(high)});
    high = std::move(low);
  }
}

Task<Status> TreeWalk::enter_leaf(const NodeView& leaf, const Pending& at) {
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const node::LeafEntry entry = leaf.leaf_entry(i);
    if (entry.kind == format::EntryKind::overflow) enter_value(leaf, i, entry.value);
  }
  Status seen = co_await visitor_.leaf(leaf, at.low, at.high);
  co_return seen;
}

void TreeWalk::enter_value(const NodeView& leaf, std::size_t index, Bytes reference) {
  const OverflowView overflow(reference);
  const std::string key(key_.data(), leaf.leaf_key(index, key_.data()));
  for (std::size_t i = 0; i < overflow.extent_count(); ++i) {
    const Status own = visitor_.visit(overflow.extent(i), overflow.generation());
    if (!own) {
      damaged(overflow.extent(i).first, 1, key, just_above(key), own.error());
      return;
    }
    overflow_pages_ += overflow.extent(i).pages;
  }
  if (value_mode_ == Values::verify) values_.push_back({reference.str(), key});
}

Task<Status> TreeWalk::step_value() {
  const PendingValue value = std::move(values_.back());
  values_.pop_back();
  const OverflowView overflow{Bytes(value.reference)};
  ValueVerifier verifier(reader_.device(), overflow, reader_.memory());
  for (bool more = true; more;) {
    const Result<bool> stepped = co_await verifier.step();
    if (!stepped) {
      if (!is_damage(stepped.code())) co_return stepped.error();
      damaged(overflow.extent(0).first, 1, value.key, just_above(value.key), stepped.error());
      break;
    }
    const std::uint64_t pages = verifier.step_bytes() / kPageBytes;
    pages_read_ += pages;
    more = !stepped.value();
    if (more) {
      Status paced = co_await visitor_.pace(pages_read_);
      if (!paced) co_return paced;
    }
  }
  co_return Status();
}

}  // namespace cambium
