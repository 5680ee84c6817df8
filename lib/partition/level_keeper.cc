// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/level_keeper.h"

#include <vector>

#include <cambium/rt/check.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "base/text.h"

namespace cambium {

namespace {

constexpr std::int64_t kRetryNs = 100'000'000;

bool worth_retrying(Errc code) noexcept {
  return code == Errc::no_space || code == Errc::busy || code == Errc::resource;
}

}  // namespace

Task<void> LevelKeeper::run() {
  while (!stopping_) {
    bool worked = false;
    if (!paused_ || settle_all_) worked = co_await round();
    update_pressure();
    idle_ = !worked;
    if (worked || stopping_) continue;
    became_idle_.wake_all();
    bool retry = false;
    for (const auto& [id, work] : work_) retry = retry || (!work.failure && worth_retrying(work.failure.code()));
    const Errc woken = co_await publisher_.published().wait(nullptr, retry ? core_.now_ns() + kRetryNs : 0);
    static_cast<void>(woken);
    for (auto& [id, work] : work_) {
      if (!work.failure && worth_retrying(work.failure.code())) work.failure = Status();
    }
    idle_ = false;
  }
  publisher_.hold_flushes(false);
  became_idle_.wake_all();
  stopped_.set();
}

void LevelKeeper::stop() noexcept {
  stopping_ = true;
  publisher_.hold_flushes(false);
  publisher_.published().wake_all();
}

void LevelKeeper::resume() noexcept {
  paused_ = false;
  publisher_.published().wake_all();
}

Task<Status> LevelKeeper::settle(bool all) {
  settle_all_ = settle_all_ || all;
  idle_ = false;
  publisher_.published().wake_all();
  while (!idle_ && !stopped_.is_set()) co_await became_idle_.wait();
  settle_all_ = false;
  for (const auto& [id, work] : work_) {
    if (!work.failure) co_return work.failure;
  }
  co_return Status();
}

// One slice for each table that has something due; false when none has.
Task<bool> LevelKeeper::round() {
  std::vector<TableId> ids;
  for (const auto& [id, table] : tables_) {
    if (table->kind() == TableKind::levels && table->live()) ids.push_back(id);
  }
  std::erase_if(work_, [&](const auto& work) { return tables_.find(work.first) == nullptr; });
  bool any = false;
  for (const TableId id : ids) {
    if (stopping_) break;
    bool worked = false;
    Status done = co_await step(id, worked);
    any = any || (worked && done);
    if (done || stopping_) continue;
    Work& work = work_[id];
    work.failure = done;
    for (auto& merge : work.merges) merge.reset();
    if (!worth_retrying(done.code())) {
      rt::log(rt::LogLevel::error, rt::str("compaction of table ", raw(id), " has stopped: ", done.error().message()));
    }
  }
  co_return any;
}

// Anew after so many operations, by what they were.
void LevelKeeper::choose_policy(const TableState& table, Work& work) {
  constexpr std::uint64_t kOperations = 20'000;
  const TableTraffic now{table.counts.gets + table.counts.scans, table.counts.puts + table.counts.deletes};
  const TableTraffic since{now.reads - work.seen.reads, now.writes - work.seen.writes};
  if (since.reads + since.writes < kOperations) return;
  work.seen = now;
  const CompactionPolicy chosen = chosen_policy(since);
  if (chosen.flush_runs != work.policy.flush_runs) {
    rt::log(rt::LogLevel::info, rt::str("compaction of table \"", table.name(), "\" changes: ", chosen.reason));
  }
  work.policy = chosen;
}

// The merge of the highest level that has one.
Compaction* LevelKeeper::next_merge(TableState& table, Work& work) {
  const LevelVersion& version = version_of(table.newest());
  choose_policy(table, work);
  for (unsigned level = 0; level < kBottomLevel; ++level) {
    std::optional<Compaction>& merge = work.merges[level];
    if (merge && merge->done(version)) {
      merge.reset();
      ++stats_.compactions;
    }
    if (!merge) {
      std::vector<SstablePlace> unfinished;
      for (const auto& other : work.merges) {
        if (other) unfinished.push_back(other->plan().output);
      }
      std::optional<CompactionPlan> plan = pick_compaction(version, work.policy, level, unfinished, settle_all_);
      if (plan) merge.emplace(store_, std::move(*plan));
    }
    if (merge && !merge->done(version)) return &*merge;
    merge.reset();
  }
  return nullptr;
}

Task<Status> LevelKeeper::step(TableId id, bool& worked) {
  TableState* const table = tables_.find(id);
  Work& work = work_[id];
  if (table == nullptr || !work.failure || table->newest().height == 0) co_return Status();
  if (!table->newest().content) {
    const TablePin pin(*table);
    co_await check(publisher_.load(*table));
  }
  Compaction* const merge = next_merge(*table, work);
  if (merge == nullptr) co_return Status();
  worked = true;
  const std::int64_t began_ns = core_.now_ns();
  Status done = co_await run_slice(id, *merge);
  stats_.ns += static_cast<std::uint64_t>(core_.now_ns() - began_ns);
  co_return done;
}

Task<Status> LevelKeeper::run_slice(TableId id, Compaction& merge) {
  Committer& committer = publisher_.committer();
  PageWriter ahead(publisher_.space(), store_.cache(), staging_.buffers, staging_.buffer_bytes,
                   committer.record().page.file_id, committer.building());
  ahead.build_ahead(committer.lane());
  LevelEdit edit;
  const ViewRef view(views_);  // its pages stay while they are read
  const TableRoot root = tables_.find(id)->newest();
  const std::uint64_t entries_before = merge.entries_read();
  Status done = co_await merge.build_slice(root, ahead, edit);
  stats_.entries += merge.entries_read() - entries_before;
  if (done && stopping_) done = Errc::cancelled;
  bool published = false;
  if (done) done = co_await publish(id, ahead, edit, published);
  if (published) merge.published();
  co_await ahead.abandon();  // what was published is no longer its own
  ++stats_.slices;
  stats_.pages_written += ahead.stats().pages;
  co_return done;
}

Task<Status> LevelKeeper::publish(TableId id, PageWriter& ahead, const LevelEdit& edit, bool& published) {
  Mutex& lane = publisher_.committer().lane();
  co_await lane.lock();
  const MutexGuard guard(lane);
  if (publisher_.committer().poisoned()) co_return publisher_.committer().poison();
  TableState* const table = tables_.find(id);
  if (table == nullptr || !applies_to(edit, version_of(table->newest()))) {
    ++stats_.discarded;
    co_return Status();
  }
  const std::unique_ptr<PageWriter> writer = publisher_.writer(SpaceUse::reserve);
  if (!CAMBIUM_PLANTED(reserved_pages_not_adopted)) ahead.adopt();
  Result<TableRoot> root = co_await store_.edit(table->newest(), edit, *writer);
  if (!root) {
    Status failed = co_await publisher_.give_up(*writer, root.error());
    co_return failed;
  }
  std::vector<NewRoot> roots;
  roots.push_back({table, *root});
  Status committed = co_await publisher_.commit(*writer, roots, Sequence{publisher_.committer().record().sequence});
  published = committed.has_value();
  co_return committed;
}

void LevelKeeper::update_pressure() noexcept {
  bool high = false;
  for (const auto& [id, work] : work_) {
    const TableState* const table = tables_.find(id);
    if (table == nullptr || !table->newest().content || !work.failure) continue;
    high = high || version_of(table->newest()).runs_at(0) > 2 * work.policy.flush_runs;
  }
  publisher_.hold_flushes(high && !paused_ && !stopping_);
}

}  // namespace cambium
