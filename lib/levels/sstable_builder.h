// SPDX-License-Identifier: MIT OR Apache-2.0
// Builds a run of sstables from a sorted stream: trees by the builder of trees, a filter behind each, and a learned
// index behind that where one is wanted (index_choice.h) and pays, cut at a size.
//
// Units      in memory until an sstable ends: 8 bytes per key, and with a learned index 12 and its bound per leaf.
// Errors     no_space, io from writing: the pages belong to the writer's commit, which is to be given up.
// Suspends   pump(), add_long(), finish(), for buffers and extents.
// Lifetime   keys and values are copied; the writer outlives it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "levels/learned_index_builder.h"
#include "levels/sstable.h"

namespace cambium {

struct SstableShape {
  std::uint64_t pages_max;  // of one sstable, about
  double filter_bits;       // per key; 0: no filter
  TableIndex index = TableIndex::automatic;
  Compression compression = Compression::none;

  // Of an sstable that is written again in its place: one becomes one. Cut anew it could be several, and rows of the
  // manifest would grow each time.
  SstableShape uncut() const noexcept {
    SstableShape whole = *this;
    whole.pages_max = ~std::uint64_t{0};
    return whole;
  }
};

class SstableBuilder final : private LeafSink {
 public:
  // Takes its numbers from `next_id`.
  SstableBuilder(TableStore& trees, PageWriter& writer, SstableShape shape, SstableId& next_id)
      : trees_(trees), writer_(writer), shape_(shape), next_id_(next_id) {}
  ~SstableBuilder() override { writer_.track(nullptr); }
  SstableBuilder(const SstableBuilder&) = delete;
  SstableBuilder& operator=(const SstableBuilder&) = delete;

  // `value` as a leaf holds it (a reference, for a long one). False when the key is not above the one before: what a
  // merge reads may lie. After it, pump() while ready().
  [[nodiscard]] bool add(Bytes key, Bytes value, format::EntryKind kind);
  Task<Status> add_long(Bytes key, Bytes value);
  Bytes last_key() const noexcept;  // the one added last; empty before the first. Good until the next add()
  bool between_sstables() const noexcept { return tree_ == nullptr; }
  bool ready() const noexcept { return tree_ != nullptr && tree_->ready(); }
  Task<Status> pump();
  // Everything that was added is in sstables; take() has them.
  Task<Status> finish();
  std::vector<SstablePtr> take() noexcept { return std::move(done_); }

 private:
  void begin(Bytes key);
  void note(Bytes key, std::uint64_t value_bytes, format::EntryKind kind);
  Task<Status> end();
  Task<Status> write_filter();
  Task<Status> write_index();
  void leaf(Bytes bound, const format::ChildPointer& pointer) override;

  TableStore& trees_;
  PageWriter& writer_;
  SstableShape shape_;
  SstableId& next_id_;
  std::unique_ptr<SortedBuilder> tree_;       // of the sstable being built
  std::shared_ptr<Sstable> table_;            // the same
  std::vector<std::uint64_t> key_hashes_;     // of its keys
  std::optional<LearnedIndexBuilder> index_;  // likewise
  std::uint64_t pages_before_ = 0;            // of the writer, when it was begun
  std::vector<SstablePtr> done_;
};

}  // namespace cambium
