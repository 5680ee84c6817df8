// SPDX-License-Identifier: MIT OR Apache-2.0
// Points through the learned index of an sstable: root, directory, leaf, each through the cache like any other page.
//
// What a search has found out goes along with a lookup that has to wait (Lookup::note), so that no page has to stay in
// the cache until another one has come, and every page is waited for once.
#include <cstring>
#include <type_traits>

#include "levels/learned_index.h"
#include "levels/level_store.h"

namespace cambium {

namespace {

// The search, and what it needs of the root from then on: the two neighbouring pages of the directory that a search can
// want, and no third (format/learned_index_page.h asserts it).
struct LearnedNote {
  LearnedSearch search;
  std::uint32_t first_page = 0;
  std::uint32_t checksums[2] = {};

  LearnedNote() noexcept = default;
  LearnedNote(const LearnedIndexView& root, Bytes key) noexcept
      : search(root.search(key)), first_page(search.first_page()) {
    for (std::uint32_t i = 0; i < 2 && first_page + i < root.directory_pages(); ++i) {
      checksums[i] = root.directory_checksum(first_page + i);
    }
  }
};
static_assert(std::is_trivially_copyable_v<LearnedNote> && sizeof(LearnedNote) <= sizeof(Lookup::Note));

FindState wait_for(Lookup& lookup, const format::ChildPointer& page, unsigned level, const LearnedNote* note) noexcept {
  lookup = {.missing = page, .level = level, .started = true, .source = lookup.source, .stage = Lookup::Stage::learned};
  if (note != nullptr) std::memcpy(lookup.note.bytes, note, sizeof *note);
  return FindState::missing;
}

FindState damaged(Lookup& lookup, const format::ChildPointer& page) noexcept {
  lookup.missing = page;
  return FindState::damaged;
}

}  // namespace

// Nothing: several leaves share the key's head, and only the branches tell them apart.
std::optional<FindState> LevelStore::find_learned(const Sstable& table, Bytes key, Lookup& lookup,
                                                  FoundEntry& found) noexcept {
  const SstableIndex& index = table.index;
  const bool waited = lookup.stage == Lookup::Stage::learned;
  FrameIndex arrived = waited ? lookup.arrived : kNoFrame;
  if (waited && arrived == kNoFrame) arrived = cache_.find(lookup.missing, lookup.level);
  if (waited && arrived == kNoFrame) return FindState::missing;

  // (1) The root says where in the directory to look.
  LearnedNote note;
  if (waited && lookup.level != format::kLearnedRootLevel) {
    std::memcpy(static_cast<void*>(&note), lookup.note.bytes, sizeof note);
  } else {
    const FrameIndex frame = waited ? arrived : cache_.find(index.root, format::kLearnedRootLevel, index.frame);
    if (frame == kNoFrame) return wait_for(lookup, index.root, format::kLearnedRootLevel, nullptr);
    index.frame = frame;
    cache_.touch_branch(frame);
    const LearnedIndexView root(cache_.bytes(frame));
    if (root.leaf_count() != index.leaves) return damaged(lookup, index.root);
    note = LearnedNote(root, key);
    arrived = kNoFrame;
    ++stats_.learned_lookups;
  }

  // (2) The directory says which leaf, and what its bytes must be.
  format::ChildPointer leaf = lookup.missing;
  const bool at_leaf = waited && lookup.level == format::kAnyLeafLevel;
  for (bool known = at_leaf; !known;) {
    if (note.search.done() && note.search.range().first != note.search.range().last) {
      ++stats_.learned_fallbacks;
      return std::nullopt;
    }
    const std::uint32_t ordinal = note.search.done() ? note.search.range().first : 0;
    const std::uint32_t page = note.search.done() ? directory_page_of(ordinal) : note.search.directory_page();
    CAMBIUM_ASSERT(page - note.first_page < 2 && page < index.directory_pages());
    const format::ChildPointer pointer{static_cast<std::uint32_t>(raw(table.directory_page(page))),
                                       note.checksums[page - note.first_page], 0};
    FrameIndex frame = arrived;
    if (frame == kNoFrame || pointer.page != lookup.missing.page) {
      frame = cache_.find(pointer, format::kLearnedDirectoryLevel, index.directory_frames[page]);
    }
    if (frame == kNoFrame) return wait_for(lookup, pointer, format::kLearnedDirectoryLevel, &note);
    index.directory_frames[page] = frame;
    cache_.touch_branch(frame);
    const char* const bytes = cache_.bytes(frame);
    if (directory_misfit(bytes, index.leaves, page) != nullptr) return damaged(lookup, pointer);
    known = note.search.done();
    if (known) {
      leaf = {static_cast<std::uint32_t>(raw(table.leaf_page(ordinal))), leaf_checksum(bytes, ordinal), 0};
    } else {
      note.search.narrow(bytes);
    }
  }

  // (3) The leaf.
  FrameIndex frame = at_leaf ? arrived : cache_.find(leaf.id());
  if (frame != kNoFrame && !at_leaf) {
    cache_.warm_leaf(frame);
    if (!cache_.meant(frame, leaf, format::kAnyLeafLevel)) frame = kNoFrame;  // fetch() says what it is instead
  }
  if (frame == kNoFrame) return wait_for(lookup, leaf, format::kAnyLeafLevel, &note);
  cache_.touch(frame);
  const node::NodeSpan leaves = cache_.nodes(frame);
  bool equal = false;
  const node::NodeSpan::Place at = leaves.leaf_lower_bound(key, equal);
  if (!equal) return FindState::absent;
  found.frame = format::is_packed_leaf(cache_.bytes(frame)) ? kNoFrame : frame;
  found.entry = leaves[at.leaf].leaf_entry(at.index);
  return FindState::found;
}

}  // namespace cambium
