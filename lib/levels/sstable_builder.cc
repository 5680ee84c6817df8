// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/sstable_builder.h"

#include <cambium/rt/check.h>

#include "cache/overflow_value.h"
#include "levels/blocked_filter.h"
#include "levels/index_choice.h"

namespace cambium {

using format::EntryKind;

void SstableBuilder::begin(Bytes key) {
  index_.reset();
  if (wants_learned(shape_.index, writer_.space().used_pages(), writer_.cache().frames())) index_.emplace();
  tree_ = trees_.builder(writer_, {.compression = shape_.compression, .leaves = index_ ? this : nullptr});
  table_ = std::make_shared<Sstable>();
  table_->id = next_id_;
  next_id_ = SstableId{static_cast<std::uint64_t>(next_id_) + 1};
  table_->generation = writer_.generation();
  table_->min_key = key.str();
  pages_before_ = writer_.stats().pages;
  writer_.track(&table_->extents);
}

void SstableBuilder::note(Bytes key, std::uint64_t value_bytes, EntryKind kind) {
  table_->content_bytes += key.size() + value_bytes;
  table_->tombstones += kind == EntryKind::tombstone ? 1 : 0;
  key_hashes_.push_back(filter_hash(key));
}

bool SstableBuilder::add(Bytes key, Bytes value, EntryKind kind) {
  if (!tree_) {
    if (!(last_key() < key)) return false;
    begin(key);
  }
  if (!tree_->add(key, value, kind)) return false;
  note(key, kind == EntryKind::overflow ? OverflowView(value).value_bytes() : value.size(), kind);
  return true;
}

Task<Status> SstableBuilder::add_long(Bytes key, Bytes value) {
  if (!tree_) {
    if (!(last_key() < key)) co_return Error(Errc::invalid_argument, "keys of a sorted load must ascend");
    begin(key);
  }
  co_await check(tree_->add_long(key, value));
  note(key, value.size(), EntryKind::overflow);
  co_return Status();
}

Bytes SstableBuilder::last_key() const noexcept {
  if (tree_) return tree_->last_key();
  return done_.empty() ? Bytes() : Bytes(done_.back()->max_key);
}

Task<Status> SstableBuilder::pump() {
  co_await check(tree_->pump());
  if (writer_.stats().pages - pages_before_ >= shape_.pages_max) {
    co_await check(end());
  }
  co_return Status();
}

Task<Status> SstableBuilder::finish() {
  if (!tree_) co_return Status();
  Status ended = co_await end();
  co_return ended;
}

Task<Status> SstableBuilder::end() {
  table_->max_key = tree_->last_key().str();
  table_->root = co_await check(tree_->finish());
  table_->packed = tree_->packed();
  table_->compression = table_->packed.pages != 0 ? shape_.compression : Compression::none;
  tree_.reset();
  if (shape_.filter_bits > 0) {
    co_await check(write_filter());
  }
  key_hashes_.clear();
  if (index_) {
    co_await check(write_index());
  }
  writer_.track(nullptr);
  done_.push_back(std::move(table_));
  co_return Status();
}

Task<Status> SstableBuilder::write_filter() {
  const FilterShape shape = FilterShape::for_keys(key_hashes_.size(), shape_.filter_bits);
  if (shape.empty()) co_return Status();
  FilterBuilder filter(shape);
  for (const std::uint64_t hash : key_hashes_) filter.add(hash);
  table_->filter_probes = shape.probes;
  for (std::uint32_t page = 0; page < shape.pages; ++page) {
    PageWriter::Slot slot = co_await check(writer_.next());
    filter.write_page(page, {slot.id, writer_.generation(), writer_.file_id(), 0}, slot.data);
    const std::uint32_t checksum = writer_.seal(slot, true);
    table_->filter.push_back({{static_cast<std::uint32_t>(raw(slot.id)), checksum, 0}, kNoFrame});
  }
  co_return Status();
}

// Leaves are the first pages of an sstable, in order: that is what makes an ordinal a place.
void SstableBuilder::leaf(Bytes bound, const format::ChildPointer& pointer) {
  const PageRun& last = table_->extents.back();
  CAMBIUM_ASSERT(pointer.page + 1 == raw(last.first) + last.pages);
  index_->add(bound, pointer.checksum);
  CAMBIUM_ASSERT(writer_.stats().pages - pages_before_ == index_->leaf_count());
}

Task<Status> SstableBuilder::write_index() {
  constexpr std::size_t kLeavesPerStep = 4096;  // about 80 us
  Core& core = writer_.cache().core();
  for (bool planned = false; !planned;) {
    planned = index_->plan_some(kLeavesPerStep);
    if (core.over_budget()) co_await core.yield();
  }
  if (!index_->worth(table_->root.node_pages - index_->leaf_count())) co_return Status();
  std::vector<std::uint32_t> checksums;
  for (std::uint32_t page = 0; page < index_->directory_pages(); ++page) {
    PageWriter::Slot slot = co_await check(writer_.next());
    index_->write_directory_page(page, {slot.id, writer_.generation(), writer_.file_id(), 0}, slot.data);
    format::header_of(slot.data).level = static_cast<std::uint8_t>(format::kLearnedDirectoryLevel);
    checksums.push_back(writer_.seal(slot, true));
  }
  PageWriter::Slot slot = co_await check(writer_.next());
  index_->write_root(checksums, {slot.id, writer_.generation(), writer_.file_id(), 0}, slot.data);
  format::header_of(slot.data).level = static_cast<std::uint8_t>(format::kLearnedRootLevel);
  const std::uint32_t checksum = writer_.seal(slot, true);
  table_->set_index({static_cast<std::uint32_t>(raw(slot.id)), checksum, 0}, index_->leaf_count());
  co_return Status();
}

}  // namespace cambium
