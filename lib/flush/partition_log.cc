// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/partition_log.h"

#include <algorithm>
#include <utility>

#include <cambium/rt/check.h>

#include "base/hash.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "flush/committer.h"
#include "wal/zero_segment.h"

namespace cambium {

namespace {

constexpr std::size_t kGrowthMax = 4;  // segments at a time: writers wait while they are filled with zeros

WalLayout layout_of(const format::Superblock& record, std::uint32_t segment_pages) {
  WalLayout layout = wal_layout_of(record);
  if (layout.first_pages.empty()) layout.segment_pages = segment_pages;
  return layout;
}

}  // namespace

PartitionLog::PartitionLog(BlockDevice& device, SpaceMap& space, WriteGroup& zeroing, std::size_t zeroing_bytes,
                           const format::Superblock& record, Plan plan)
    : device_(device),
      space_(space),
      zeroing_(zeroing),
      zeroing_bytes_(zeroing_bytes),
      plan_(plan),
      layout_(layout_of(record, plan.segment_pages)),
      clean_((record.wal_flags & format::kWalClean) != 0),
      newest_position_(record.wal_position) {
  CAMBIUM_ASSERT(plan.segments_max >= kSegmentsMin && plan.segments_max <= format::kWalSegmentsMax);
}

// ---- the commit protocol ------------------------------------------------------------------------------------------

void PartitionLog::describe(format::Superblock& next) const {
  std::fill(std::begin(next.wal_segments), std::end(next.wal_segments), 0u);
  next.wal_log_id = layout_.log_id;
  next.features_needed &= ~format::kFeatureLog;
  if (exists()) next.features_needed |= format::kFeatureLog;
  next.wal_flags = clean_ ? format::kWalClean : 0;
  next.wal_position = writer_ ? writer_->position_of(Sequence{next.sequence}) : layout_.start_position;
  std::vector<std::uint32_t> pages = first_pages();
  pages.insert(pages.end(), coming_.begin(), coming_.end());
  CAMBIUM_ASSERT(pages.size() <= format::kWalSegmentsMax && pages.empty() == (layout_.log_id == 0));
  std::copy(pages.begin(), pages.end(), next.wal_segments);
  next.wal_segment_count = static_cast<std::uint32_t>(pages.size());
  next.wal_segment_pages = pages.empty() ? 0 : layout_.segment_pages;
  if (CAMBIUM_PLANTED(wal_segment_reused_early) && writer_) writer_->advance_start(next.wal_position);
}

void PartitionLog::committed(const format::Superblock& record) noexcept {
  const std::uint64_t other_slot = std::exchange(newest_position_, record.wal_position);
  if (writer_) {
    writer_->advance_start(CAMBIUM_PLANTED(wal_start_advanced_early) ? record.wal_position : other_slot);
    for (const std::uint32_t page : named_) writer_->add_segment(page);
    named_.clear();
  }
  named_.insert(named_.end(), coming_.begin(), coming_.end());
  coming_.clear();
  growth_refused_ = false;  // what was freed may suffice
  checkpoint_asked = false;
}

std::vector<std::uint32_t> PartitionLog::first_pages() const {
  std::vector<std::uint32_t> pages = writer_ ? writer_->layout().first_pages : layout_.first_pages;
  pages.insert(pages.end(), named_.begin(), named_.end());
  return pages;
}

std::size_t PartitionLog::segment_count() const noexcept {
  return (writer_ ? writer_->segment_count() : layout_.first_pages.size()) + named_.size() + coming_.size();
}

// The segments of an older log may be of another size than planned: what counts is the bytes.
std::size_t PartitionLog::segments_max() const noexcept {
  const std::uint64_t pages = std::uint64_t{plan_.segment_pages} * plan_.segments_max;
  return std::clamp<std::size_t>(pages / layout_.segment_pages, kSegmentsMin, format::kWalSegmentsMax);
}

// ---- from open to close -------------------------------------------------------------------------------------------

Task<Status> PartitionLog::begin(Committer& committer, std::uint64_t salt, Sequence last, const WalStaging& staging,
                                 const WalPolicy& policy) {
  CAMBIUM_ASSERT(!writer_ && (!exists() || clean_));
  const WalLayout before = layout_;
  // (1) Segments: those of the log before, if they have the size that is planned.
  Status done;
  const bool fits = before.segment_pages == plan_.segment_pages;
  while (done && layout_.first_pages.size() > (fits ? plan_.segments_max : 0)) {
    done = space_.free({PageId{layout_.first_pages.back()}, layout_.segment_pages}, committer.newest());
    layout_.first_pages.pop_back();
  }
  layout_.segment_pages = plan_.segment_pages;
  if (done && layout_.first_pages.size() < kSegmentsMin) {
    done = co_await add_segments(kSegmentsMin - layout_.first_pages.size(), layout_.first_pages);
  }
  if (!done) {
    space_.aborted();
    layout_ = before;
    co_return done;
  }
  // (2) Both superblocks name it, and say of neither log that it need not be read. Crash before the second one: nothing
  //     has been written to the new log yet.
  const std::uint64_t id = rt::hash64(reinterpret_cast<const char*>(&salt), sizeof salt, before.log_id);
  layout_.log_id = id != 0 && id != before.log_id ? id : before.log_id + 1;
  layout_.start_position = 0;
  clean_ = CAMBIUM_PLANTED(wal_clean_mark_kept) && clean_;
  done = co_await committer.touch();
  if (!done) {
    layout_ = before;
    co_return done;
  }
  done = co_await committer.touch();
  if (!done) co_return done;
  writer_ = std::make_unique<WalWriter>(device_, layout_, WalReplay::fresh(layout_, last), staging, policy);
  co_return Status();
}

void PartitionLog::go_on(const WalReplay& replayed, const WalStaging& staging, const WalPolicy& policy) {
  CAMBIUM_ASSERT(!writer_ && exists() && !clean_);
  writer_ = std::make_unique<WalWriter>(device_, layout_, replayed, staging, policy);
}

Task<Status> PartitionLog::remove(Committer& committer) {
  CAMBIUM_ASSERT(!writer_ && exists());
  const WalLayout before = std::exchange(layout_, WalLayout{});
  const bool was_clean = std::exchange(clean_, false);
  layout_.segment_pages = plan_.segment_pages;
  Status done;
  for (const std::uint32_t page : before.first_pages) {
    done = space_.free({PageId{page}, before.segment_pages}, committer.newest());
    if (!done) break;
  }
  if (done) {
    done = co_await committer.touch();
  } else {
    space_.aborted();
  }
  if (!done) {
    layout_ = before;
    clean_ = was_clean;
  }
  co_return done;
}

Task<Status> PartitionLog::finish(Committer& committer, bool clean) {
  CAMBIUM_ASSERT(writer_ != nullptr);
  Status finished = co_await writer_->finish();
  if (!finished || !clean) co_return finished;
  clean_ = true;
  Status marked = co_await committer.touch();
  co_return marked;
}

std::optional<LogRange> PartitionLog::range(Sequence in_tables) const {
  if (!writer_) return replayed_;
  return writer_->durable_range(in_tables);
}

// ---- room ---------------------------------------------------------------------------------------------------------

// The tables hold whole segments that a replay would still read.
bool PartitionLog::lags(Sequence flushed) const noexcept {
  if (!writer_ || !pressed()) return false;
  const std::uint64_t needed = writer_->position_of(flushed);
  return writer_->ordinal_of(needed) > writer_->ordinal_of(writer_->start_position());
}

// An empty log has all segments but the one that it stands in; groups and headers take less than a quarter of them.
bool PartitionLog::cannot_hold(std::uint64_t body_bytes) const noexcept {
  const std::size_t segments = can_grow() ? segments_max() : writer_->segment_count();
  return body_bytes > kWalBodyBytesMax || body_bytes > (segments - 1) * writer_->segment_bytes() / 4 * 3;
}

Task<Status> PartitionLog::work(Committer& committer) {
  Status done;
  if (growth_due()) {
    const std::size_t count = std::min({segments_max() - segment_count(), segment_count(), kGrowthMax});
    const Status added = co_await add_segments(count, coming_);
    growth_refused_ = !added;
    if (coming_.empty()) {
      space_.aborted();
    } else {
      // Once for each slot: the writer gets them with the second.
      for (int slot = 0; slot < 2 && done; ++slot) done = co_await committer.touch();
      coming_.clear();
    }
    growth_refused_ = growth_refused_ || !added;
  }
  for (int slot = 0; slot < 2 && done && lags(Sequence{committer.record().sequence}); ++slot) {
    done = co_await committer.touch();
  }
  writer_->room().wake_all();
  co_return done;
}

Task<Status> PartitionLog::shrink(Committer& committer) {
  std::vector<std::uint32_t> leaving;
  Status done;
  while (done && segment_count() > kSegmentsMin) {
    const std::optional<std::uint32_t> page = writer_->remove_free_segment();
    if (!page) break;
    leaving.push_back(*page);
    done = space_.free({PageId{*page}, layout_.segment_pages}, committer.newest());
  }
  if (leaving.empty()) co_return done;
  if (done) {
    done = co_await committer.touch();
  } else {
    space_.aborted();
  }
  if (!done) {
    for (const std::uint32_t page : leaving) writer_->add_segment(page);
  }
  co_return done;
}

Result<PageRun> PartitionLog::take_run(std::uint32_t pages) {
  if (space_.free_pages() < pages + space_.reserve_pages()) {
    return Error(Errc::no_space, rt::str("what is free in ", device_.name(), " is kept for deletes and compaction"),
                 "free some space; without a log (wal=none) it can be opened all the same");
  }
  return space_.allocate(pages, pages);
}

// As many as there is space for beyond the reserve; `to` has those that were filled with zeros.
Task<Status> PartitionLog::add_segments(std::size_t count, std::vector<std::uint32_t>& to) {
  const std::uint32_t pages = layout_.segment_pages;
  for (; count != 0; --count) {
    Result<PageRun> run = take_run(pages);
    for (int tries = 0; !run && tries < 3; ++tries) {  // the end of an allocation group may be too short for one
      const std::uint64_t spare = space_.free_pages();
      const std::uint64_t wanted = pages + space_.reserve_pages();
      co_await check(space_.grow(std::max<std::uint64_t>(pages, wanted > spare ? wanted - spare : 0)));
      run = take_run(pages);
    }
    if (!run) co_return run.error();
    Status zeroed = co_await zero_segment(zeroing_, zeroing_bytes_, static_cast<std::uint32_t>(raw(run->first)), pages);
    if (!zeroed) {
      space_.give_back(*run);
      co_return zeroed;
    }
    to.push_back(static_cast<std::uint32_t>(raw(run->first)));
  }
  co_return Status();
}

}  // namespace cambium
