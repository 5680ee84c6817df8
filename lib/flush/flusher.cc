// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/flusher.h"

#include <algorithm>

#include <cambium/rt/check.h>

#include "base/planted_bug.h"
#include "flush/partition_log.h"

namespace cambium {

namespace {

constexpr std::int64_t kRetryNs = 100'000'000;

bool worth_retrying(Errc code) noexcept {
  return code == Errc::no_space || code == Errc::busy || code == Errc::resource;
}

// The deletes that stand next: whole batches behind `after` that do nothing else, up to the last of them. `after` when
// something else comes first; `any`: whether there is a delete at all.
Sequence deletes_end(const WriteBuffer& buffer, Sequence after, bool& any) noexcept {
  Sequence end = after;
  bool pure = true;
  any = false;
  for (const BufferEntry* entry = buffer.first(); entry != nullptr; entry = buffer.after(*entry)) {
    if (entry->sequence <= after) continue;
    any = any || entry->kind == WriteKind::del;
    pure = pure && entry->kind == WriteKind::del;
    if (pure && (entry->flags & BufferEntry::kBatchGoesOn) == 0) end = entry->sequence;
    if (!pure && any) break;
  }
  return end;
}

// Where a portion of about `count` writes ends that begins after `after`: never inside a batch, nor beyond `last`.
Sequence portion_end(const WriteBuffer& buffer, Sequence after, Sequence last, std::size_t count) noexcept {
  for (const BufferEntry* entry = buffer.first(); entry != nullptr; entry = buffer.after(*entry)) {
    if (entry->sequence <= after) continue;
    if (entry->sequence >= last) break;
    if (count > 0) --count;
    if (count == 0 && (entry->flags & BufferEntry::kBatchGoesOn) == 0) return entry->sequence;
  }
  return last;
}

}  // namespace

Task<void> Flusher::run() {
  for (;;) {
    while (!buffers_.has_frozen() && !log_work_due() && !stopping_) co_await buffers_.frozen_added.wait();
    if (stopping_ && (!buffers_.has_frozen() || blocked())) break;
    const std::int64_t began_ns = core_.now_ns();
    const bool for_log = log_work_due();
    Status done;
    if (for_log) {
      done = co_await tend_log();
    } else {
      while (!publisher_.flush_may_begin() && !stopping_) co_await publisher_.published().wait();
      publisher_.flush_begins();
      done = co_await flush(buffers_.oldest_frozen());
      stats_.ns += static_cast<std::uint64_t>(core_.now_ns() - began_ns);
    }
    if (done.code() == Errc::no_space) {
      const bool again = co_await others_make_room();
      if (again) continue;
    }
    if (publisher_.space().free_pages() > 2 * publisher_.space().reserve_pages()) publisher_.set_short_of_space(false);
    failure_ = done;
    PartitionLog* const log = publisher_.committer().log();
    if (log != nullptr && log->writer() != nullptr) log->writer()->room().wake_all();
    if (done) {
      stats_.flushes += for_log ? 0 : 1;
      continue;
    }
    // Whoever waits is told; the buffer stays, and its writes stay readable.
    buffers_.frozen_dropped.wake_all();
    buffers_.space_freed.wake_all();
    if (!worth_retrying(done.code())) break;
    if (!stopping_) co_await core_.sleep_ns(kRetryNs);
  }
  stopped_.set();
}

bool Flusher::log_work_due() const noexcept {
  Committer& committer = publisher_.committer();
  const PartitionLog* const log = committer.log();
  return log != nullptr && log->writer() != nullptr && !committer.poisoned() && !stopping_ &&
         log->work_due(Sequence{committer.record().sequence});
}

Task<Status> Flusher::tend_log() {
  Committer& committer = publisher_.committer();
  co_await committer.lane().lock();
  MutexGuard lane(committer.lane());
  Status done = co_await committer.log()->work(committer);
  co_return done;
}

void Flusher::stop() noexcept {
  stopping_ = true;
  buffers_.frozen_added.wake_all();
}

Task<void> Flusher::stopped() { co_await stopped_.wait(); }

Task<Status> Flusher::wait_for(Sequence sequence) {
  while (buffers_.has_frozen() && buffers_.oldest_frozen().buffer.first_sequence() <= sequence) {
    if (blocked()) co_return failure_;
    if (stopped_.is_set()) co_return Error(Errc::closed, "the partition is closing");
    co_await buffers_.frozen_dropped.wait();
  }
  co_return Status();
}

Task<void> Flusher::order(Core& core, OrderedBuffer& buffer, std::size_t through, bool to_one_run) {
  while (buffer.sorting) co_await buffer.sorted.wait();
  buffer.sorting = true;
  for (bool done = false; !done;) {
    StepBudget budget(kStepEntries);
    done = to_one_run ? buffer.runs.merge_all_step(budget) : buffer.runs.catch_up_step(budget, through);
    if (!done) co_await core.yield();
  }
  buffer.sorting = false;
  buffer.sorted.wake_all();
}

Task<Status> Flusher::flush(OrderedBuffer& buffer) {
  co_await order(core_, buffer, buffer.buffer.count(), true);
  const SortedRun run = buffer.runs.whole();
  co_await slow_down(run);
  const Sequence last = buffer.buffer.last_sequence();
  // A part that was committed before an error is not applied again.
  Sequence applied{raw(buffer.buffer.first_sequence()) - 1};
  applied = std::max(applied, Sequence{publisher_.committer().record().sequence});
  Sequence deletes_through = applied;  // up to here the reserve may be taken
  std::size_t portion = buffer.buffer.count();
  while (applied < last) {
    Sequence through = snapshots_.next_stop(buffer, applied, last);
    const bool deleting = applied < deletes_through;
    if (deleting) through = std::min(through, deletes_through);
    if (portion < buffer.buffer.count()) through = portion_end(buffer.buffer, applied, through, portion);
    const SpaceUse use = deleting ? SpaceUse::reserve : SpaceUse::ordinary;
    Status done = co_await apply_part(buffer, run, applied, through, use);
    if (done) {
      applied = through;
      if (deleting && applied == deletes_through) portion = buffer.buffer.count();
      continue;
    }
    if (done.code() != Errc::no_space) co_return done;
    publisher_.set_short_of_space(true);
    // The device is full. First what only the fallback superblock holds; then, for what makes room, the reserve; then
    // less at a time: each portion of deletes gives back what it took, so the next one finds it, and what fits of the
    // writes before them has to be out of their way. Writes that do not fit, and all behind them, wait.
    bool released = false;
    co_await check(publisher_.release_fallback(released));
    if (released) continue;
    portion = std::min(portion, static_cast<std::size_t>(raw(through) - raw(applied)));
    bool any_deletes = false;
    if (!deleting) deletes_through = deletes_end(buffer.buffer, applied, any_deletes);
    if (!deleting && deletes_through > applied) {
      portion = buffer.buffer.count();
    } else if ((deleting || any_deletes) && portion > 1) {
      portion /= 2;
    } else {
      co_return done;
    }
  }
  co_return Status();
}

// Of tables whose merges fail, so that whoever writes to them has time to hear of it.
Task<void> Flusher::slow_down(const SortedRun& run) {
  std::int64_t delay_ns = 0;
  for (const TableRange& range : run.tables()) {
    const TableState* const table = tables_.find(range.table);
    if (table != nullptr && table->backlog() != nullptr) {
      delay_ns = std::max(delay_ns, table->backlog()->flush_delay_ns);
    }
  }
  if (delay_ns != 0 && !stopping_) co_await core_.sleep_ns(delay_ns);
}

// Waits a moment for a commit of somebody else, such as a merge that the lack of space has set going.
Task<bool> Flusher::others_make_room() {
  if (stopping_ || std::none_of(tables_.begin(), tables_.end(), [](const auto& table) {
        return table.second->live() && table.second->kind() == TableKind::levels;
      })) {
    co_return false;
  }
  const std::uint64_t commits = publisher_.committer().stats().commits;
  const std::int64_t until_ns = core_.now_ns() + kRetryNs;
  Errc woken = Errc::ok;
  while (woken == Errc::ok && !stopping_ && publisher_.committer().stats().commits == commits) {
    woken = co_await publisher_.published().wait(nullptr, until_ns);
  }
  co_return publisher_.committer().stats().commits != commits;
}

// The newest write of each key with a sequence in (after, through], in key order.
Task<void> Flusher::collect(const SortedRun& run, const TableRange& range, Sequence after, Sequence through) {
  changes_.clear();
  const std::span<const SortedRef> refs = run.refs();
  constexpr std::size_t kAhead = 8;
  const SortedRef* previous = nullptr;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    if (i + kAhead < range.end) __builtin_prefetch(refs[i + kAhead].entry);
    if (i % 1024 == 0 && core_.over_budget()) co_await core_.yield();
    const BufferEntry* entry = refs[i].entry;
    if (entry->sequence > through) continue;
    const bool superseded =
        previous != nullptr && previous->head == refs[i].head && previous->entry->key() == entry->key();
    previous = &refs[i];
    if (superseded || entry->sequence <= after) continue;
    if (CAMBIUM_PLANTED(tombstone_dropped) && entry->kind == WriteKind::del && i + 1 < range.end &&
        refs[i + 1].head == refs[i].head && refs[i + 1].entry->key() == entry->key()) {
      continue;
    }
    const Bytes key = entry->key();
    const Bytes value = entry->value();
    changes_.push_back({key.data(), value.data(), static_cast<std::uint32_t>(value.size()),
                        static_cast<std::uint16_t>(key.size()), entry->kind == WriteKind::del});
  }
}

Task<Status> Flusher::apply_part(OrderedBuffer& buffer, const SortedRun& run, Sequence after, Sequence through,
                                 SpaceUse use) {
  co_await publisher_.committer().lane().lock();
  MutexGuard lane(publisher_.committer().lane());
  // Others commit beside it; what such a commit freed before it failed is not to be met here as damage.
  if (publisher_.committer().poisoned()) co_return publisher_.committer().poison();
  if (publisher_.space().held_by_fallback() > publisher_.space().file_pages() / 8) {
    // Much of the file waits only for the fallback superblock: moving that on is cheaper than a longer file.
    co_await check(publisher_.committer().touch());
  }
  if (use == SpaceUse::reserve && std::any_of(run.tables().begin(), run.tables().end(), [&](const TableRange& range) {
        const TableState* const table = tables_.find(range.table);
        return table != nullptr && table->kind() == TableKind::levels;
      })) {
    use = SpaceUse::tombstones;
  }
  const std::unique_ptr<PageWriter> writer = publisher_.writer(use);
  std::vector<NewRoot> roots;
  for (const TableRange& range : run.tables()) {
    TableState* table = tables_.find(range.table);
    if (table == nullptr) continue;  // dropped since
    // Dropped, and its pages still there: only older snapshots need what was written before.
    if (!table->live() && !snapshots_.any_before(table->dropped_epoch())) continue;
    co_await collect(run, range, after, through);
    const std::uint64_t pages_before = writer->stats().pages + writer->stats().overflow_pages;
    Result<TableRoot> root = co_await publisher_.store_of(*table).apply(table->newest(), changes_, *writer);
    if (!root) {
      Status failed = co_await publisher_.give_up(*writer, root.error());
      co_return failed;
    }
    const std::uint64_t pages = writer->stats().pages + writer->stats().overflow_pages - pages_before;
    table->counts.bytes_flushed += pages * kPageBytes;
    roots.push_back({table, *root});
  }
  Status committed = co_await publisher_.commit(*writer, roots, through);
  if (!committed) co_return committed;

  // Visible from here on, without a suspension since the commit: snapshots move forward, the buffer goes.
  snapshots_.advance(views_, buffer, through);
  if (through == buffer.buffer.last_sequence()) buffers_.drop_oldest();
  co_return Status();
}

}  // namespace cambium
