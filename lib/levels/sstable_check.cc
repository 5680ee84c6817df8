// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/sstable_check.h"

#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/text.h"
#include "levels/blocked_filter.h"

namespace cambium {

using node::NodeView;

SstableCheck::SstableCheck(const Sstable& table, PageVisitor& visitor, std::string_view file)
    : table_(table),
      visitor_(visitor),
      file_(file),
      shape_(table.filter_shape()),
      key_(kKeyBytesMax + NodeView::kKeySlack) {}

void SstableCheck::found(PageId page, const char* what) {
  const Error reason(Errc::corruption, rt::str("page ", raw(page), " of ", file_, " ", what),
                     "run `cambium check`; restore the file from a backup, or use `cambium salvage`");
  if (first_damage_) first_damage_ = reason;
  visitor_.damaged({page, 0, table_.min_key, {}, reason});
}

void SstableCheck::filter_page(std::uint32_t index, Status read, const char* page) {
  CAMBIUM_ASSERT(index == filter_.size());
  const PageId id = table_.filter[index].pointer.id();
  filter_.emplace_back();
  if (read) read = visitor_.visit({id, 1}, table_.generation);
  if (!read) {
    if (first_damage_) first_damage_ = read;
    visitor_.damaged({id, 0, table_.min_key, {}, read.error()});
    return;
  }
  if (const char* const wrong = validate_filter_page(page, shape_, index); wrong != nullptr) {
    found(id, rt::str("is no page of its sstable's filter: ", wrong).c_str());
    return;
  }
  filter_.back() = std::make_unique_for_overwrite<char[]>(kPageBytes);
  std::memcpy(filter_.back().get(), page, kPageBytes);
}

bool SstableCheck::denied(Bytes key) const noexcept {
  if (filter_.empty()) return false;
  const std::uint64_t hash = filter_hash(key);
  const char* const page = filter_[filter_page_of(shape_, hash)].get();
  return page != nullptr && !filter_may_contain(page, shape_, hash);
}

Task<Status> SstableCheck::leaf(const NodeView& leaf, Bytes low, Bytes high) {
  for (std::size_t i = 0; i < leaf.count(); ++i) {
    const Bytes key(key_.data(), leaf.leaf_key(i, key_.data()));
    tombstones_ += leaf.leaf_entry(i).kind == format::EntryKind::tombstone ? 1u : 0u;
    if (first_key_.empty()) first_key_ = key.str();
    last_key_.assign(key.data(), key.size());
    const bool below = key < Bytes(table_.min_key) && !table_.trimmed;
    if ((below || Bytes(table_.max_key) < key) && !std::exchange(outside_, true)) {
      found(leaf.id(), "has keys that its sstable does not span");
    }
    if (denied(key) && !std::exchange(hidden_, true)) {
      const FilterPage& page = table_.filter[filter_page_of(shape_, filter_hash(key))];
      found(page.pointer.id(), "is a filter that denies a key of its sstable");
    }
  }
  Status seen = co_await visitor_.leaf(leaf, low, high);
  co_return seen;
}

void SstableCheck::end() {
  const bool bounds = last_key_ == table_.max_key && (table_.trimmed || first_key_ == table_.min_key);
  if (!bounds && !outside_) found(table_.root.pointer.id(), "is the root of an sstable of other bounds");
  if (tombstones_ != table_.tombstones) found(table_.root.pointer.id(), "is the root of an sstable of other counts");
}

}  // namespace cambium
