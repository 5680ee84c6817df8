// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/level_cursor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <cambium/rt/check.h>

#include "base/endian.h"
#include "base/planted_bug.h"
#include "cache/overflow_value.h"
#include "cache/page_stream.h"

namespace cambium {

LevelCursor::LevelCursor(PageCache& cache, TableStore& trees, StreamBuffers* streams,
                         std::shared_ptr<const TableContent> version, std::span<const LevelRun> runs,
                         CursorOptions options, bool keep_tombstones)
    : cache_(cache),
      trees_(trees),
      version_(std::move(version)),
      version_runs_(runs),
      forward_(options.direction == Direction::forward),
      keep_tombstones_(keep_tombstones) {
  const std::uint64_t wanted = options.entries_max;
  std::uint64_t pages = 0;
  for (const LevelRun& run : runs) pages += run.pages();
  for (const LevelRun& run : runs) {
    if (wanted != 0) options.entries_max = wanted * run.pages() / std::max<std::uint64_t>(pages, 1) + 1;
    // The sstables of a run often lie one behind the other as well.
    if (streams != nullptr) {
      streams_.push_back(std::make_unique<PageStream>(*streams, forward_));
      options.stream = streams_.back().get();
    }
    runs_.push_back(std::make_unique<RunCursor>(trees, run, options));
  }
}

Task<Status> LevelCursor::seek(Bytes key, bool inclusive) {
  const std::string from = key.str();  // the caller's bytes are good until we suspend
  if (runs_.size() > 1 && !from.empty()) ask_for_first_pages(from);
  for (const auto& run : runs_) {
    co_await check(run->seek(from, inclusive));
  }
  merge();
  while (count_ == 0 && !at_end_) {
    co_await check(next_page());
  }
  co_return Status();
}

// Of all runs, so that they are waited for together.
void LevelCursor::ask_for_first_pages(Bytes key) {
  for (const LevelRun& run : version_runs_) {
    const std::size_t at = run.lower_bound(key);
    if (at == run.tables.size()) continue;
    Lookup lookup;
    FoundEntry found;
    if (trees_.find(run.tables[at]->root, key, lookup, found) != FindState::missing) continue;
    cache_.prefetch(lookup.missing, lookup.level);
  }
}

bool LevelCursor::try_next_page() {
  position_ = count_ = 0;
  while (count_ == 0 && !at_end_) {
    for (const auto& run : runs_) {
      while (exhausted(*run)) {
        if (!run->try_next_page()) return false;
      }
    }
    merge();
  }
  return true;
}

Task<Status> LevelCursor::next_page() {
  position_ = count_ = 0;
  for (const auto& run : runs_) {
    while (exhausted(*run)) {
      co_await check(run->next_page());
    }
  }
  merge();
  co_return Status();
}

bool LevelCursor::done() const noexcept {
  return std::all_of(runs_.begin(), runs_.end(), [](const auto& run) { return !run->valid() && run->at_end(); });
}

// Orders as the keys do, in the direction of travel, as far as eight bytes can tell.
std::uint64_t LevelCursor::head_of(const Entry& entry) const noexcept {
  std::uint64_t head = 0;
  if (entry.key.size() >= sizeof head) [[likely]] {
    head = rt::load_be64(entry.key.data());
  } else {
    char padded[sizeof head] = {};
    std::memcpy(padded, entry.key.data(), entry.key.size());
    head = rt::load_be64(padded);
  }
  return forward_ ? head : ~head;
}

// Strictly. Requires: neither is at its end.
bool LevelCursor::before(std::size_t a, std::size_t b) const noexcept {
  if (heads_[a] != heads_[b]) [[likely]]
    return heads_[a] < heads_[b];
  const Bytes left = sources_[a].at->key;
  const Bytes right = sources_[b].at->key;
  return forward_ ? left < right : right < left;
}

void LevelCursor::show_pages() {
  sources_.clear();
  heads_.clear();
  for (const auto& run : runs_) {
    const std::span<const Entry> rest = run->rest();
    if (rest.empty()) continue;
    sources_.push_back({run.get(), rest.data(), rest.data() + rest.size(), run->page().rest_of_kinds().data()});
    heads_.push_back(head_of(rest.front()));
  }
}

void LevelCursor::take(Source& source) {
  const format::EntryKind kind = *source.kind;
  entries_[count_] = *source.at;
  kinds_[count_] = kind;
  has_references_ = has_references_ || kind == format::EntryKind::overflow;
  count_ += kind != format::EntryKind::tombstone || keep_tombstones_ ? 1 : 0;
}

void LevelCursor::advance(std::size_t source) noexcept {
  Source& moved = sources_[source];
  ++moved.at;
  ++moved.kind;
  if (moved.at != moved.end) [[likely]]
    heads_[source] = head_of(*moved.at);
}

// Passes over what `newest` replaces: the same key in older runs, from `older` on. True when one of them is at the end
// of its page then.
bool LevelCursor::hide_older(std::size_t newest, std::size_t older) {
  const Bytes key = sources_[newest].at->key;
  bool ended = false;
  for (std::size_t i = older; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    if (heads_[i] != heads_[newest] || source.at->key != key) continue;
    const bool told = hidden_ != nullptr && !CAMBIUM_PLANTED(hidden_value_not_freed);
    if (told && *source.kind == format::EntryKind::overflow) {
      const OverflowView value(source.at->value);
      for (std::size_t e = 0; e < value.extent_count(); ++e) {
        hidden_->emplace_back(value.extent(e), value.generation());
      }
      if (CAMBIUM_PLANTED(hidden_value_freed_twice)) hidden_->push_back(hidden_->back());
    }
    ++hidden_count_;
    advance(i);
    ended = ended || source.at == source.end;
  }
  return ended;
}

// Takes entries until a run has to load its next page: that would take away what this page shows.
void LevelCursor::merge_pages() {
  const std::size_t count = sources_.size();
  for (bool ended = count == 0; !ended && count_ < kPageEntriesMax;) {
    std::size_t first = 0;   // on equal keys the newest
    std::size_t second = 1;  // the least of the others
    if (count > 1 && before(1, 0)) std::swap(first, second);
    for (std::size_t i = 2; i < count; ++i) {
      if (heads_[i] > heads_[second]) continue;
      if (before(i, first)) {
        second = std::exchange(first, i);
      } else if (before(i, second)) {
        second = i;
      }
    }
    Source& source = sources_[first];
    if (count > 1 && !before(first, second)) {  // the same key: `first` is the newest that has it
      ended = hide_older(first, first + 1);
      take(source);
      advance(first);
    } else {
      do {
        take(source);
        advance(first);
      } while (count_ < kPageEntriesMax && source.at != source.end && (count == 1 || before(first, second)));
    }
    ended = ended || source.at == source.end;
  }
}

void LevelCursor::merge() {
  if (entries_.empty()) {
    entries_.resize(kPageEntriesMax);
    kinds_.resize(kPageEntriesMax);
  }
  position_ = count_ = 0;
  has_references_ = false;
  show_pages();
  merge_pages();
  for (const Source& source : sources_) {
    source.run->page().advance(static_cast<std::size_t>(source.at - source.run->page().rest_of_page().data()));
  }
  at_end_ = done();
}

}  // namespace cambium
