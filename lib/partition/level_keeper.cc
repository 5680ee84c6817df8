// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/level_keeper.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <cambium/rt/check.h>
#include <cambium/rt/when_all.h>

#include "base/log.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "levels/tidy.h"

namespace cambium {

namespace {

constexpr std::int64_t kRetryNs = 100'000'000;
constexpr double kSlicesPerExcess = 6;  // that a flush waits for, per level 0 too much

bool worth_retrying(Errc code) noexcept {
  return code == Errc::no_space || code == Errc::busy || code == Errc::resource;
}

}  // namespace

Task<void> LevelKeeper::run() {
  while (!stopping_) {
    bool worked = false;
    if (!paused_ || settle_all_) worked = co_await round();
    idle_ = !worked;
    if (idle_) publisher_.set_flush_toll(0);  // nothing is coming that a flush could wait for
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
  publisher_.set_flush_toll(0);
  became_idle_.wake_all();
  stopped_.set();
}

void LevelKeeper::stop() noexcept {
  stopping_ = true;
  publisher_.set_flush_toll(0);
  publisher_.published().wake_all();
}

void LevelKeeper::resume() noexcept {
  paused_ = false;
  publisher_.published().wake_all();
}

Task<Status> LevelKeeper::settle(bool all) {
  for (auto& [id, work] : work_) work.failure = Status();
  settle_all_ = settle_all_ || all;
  ++settling_;
  idle_ = false;
  publisher_.published().wake_all();
  while (!idle_ && !stopped_.is_set()) co_await became_idle_.wait();
  settle_all_ = false;
  --settling_;
  for (const auto& [id, work] : work_) {
    if (!work.failure) co_return work.failure;
  }
  co_return Status();
}

// False when no table has anything due.
Task<bool> LevelKeeper::round() {
  Round round;
  for (const auto& [id, table] : tables_) {
    if (table->kind() == TableKind::levels && table->live()) round.tables.push_back(id);
  }
  std::erase_if(work_, [&](const auto& work) { return tables_.find(work.first) == nullptr; });
  TaskGroup lanes;
  for (std::size_t i = 0; i < std::min(lanes_.size(), round.tables.size()); ++i) {
    lanes.add(work_off(round, lanes_[i]));
  }
  co_await lanes.join();
  co_return round.worked;
}

Task<void> LevelKeeper::work_off(Round& round, PageStaging lane) {
  while (round.next != round.tables.size() && !stopping_) {
    const TableId id = round.tables[round.next++];
    bool worked = false;
    Status done = co_await step(id, lane, worked);
    round.worked = round.worked || (worked && done);
    if (done || stopping_) continue;
    Work& work = work_[id];
    work.failure = done;
    for (auto& merge : work.merges) merge.reset();
    if (!worth_retrying(done.code())) {
      rt::log(rt::LogLevel::error, rt::str("compaction of table ", raw(id), " has stopped: ", done.error().message()));
    }
  }
}

// Anew after so many operations, by what they were.
void LevelKeeper::choose_policy(const TableState& table, Work& work) {
  constexpr std::uint64_t kOperations = 20'000;
  const TableTraffic now{table.counts.gets, table.counts.scans, table.counts.puts + table.counts.deletes};
  const TableTraffic since{now.gets - work.seen.gets, now.scans - work.seen.scans, now.writes - work.seen.writes};
  if (since.gets + since.scans + since.writes < kOperations) return;
  work.seen = now;
  const CompactionPolicy chosen = chosen_policy(since);
  if (chosen.flush_runs != work.policy.flush_runs) {
    rt::log(rt::LogLevel::info, rt::str("compaction of table \"", table.name(), "\" changes: ", chosen.reason));
  }
  work.policy = chosen;
}

namespace {

// About how many pages a merge of everything would give back: each tombstone hides an entry of the bottom, and of the
// others as many are known there as the last merge has met.
double pages_to_give_back(const LevelVersion& version, double share_dropped) noexcept {
  double tombstones = 0;
  double above = 0;
  double entries_at_bottom = 1;
  for (const LevelRun& run : version.runs()) {
    for (const SstablePtr& table : run.tables) {
      if (run.place.level == kBottomLevel) {
        entries_at_bottom += static_cast<double>(table->entries());
      } else {
        tombstones += static_cast<double>(table->tombstones);
        above += static_cast<double>(table->pages());
      }
    }
  }
  const auto bottom = static_cast<double>(version.pages_at(kBottomLevel));
  return share_dropped * above + std::min(1.0, tombstones / entries_at_bottom) * bottom;
}

// Is it worth to rewrite the bottom? When that gives back more than a tenth of it, or as much lies above it: a scan,
// and a get that a filter deceives, read every run, and small ones stay in the cache.
bool untidy(const LevelVersion& version, double share_dropped) noexcept {
  std::uint64_t above = 0;
  for (unsigned level = 0; level < kBottomLevel; ++level) above += version.pages_at(level);
  const double wasted = std::max(static_cast<double>(above), pages_to_give_back(version, share_dropped));
  return wasted > static_cast<double>(version.pages_at(kBottomLevel)) / 10;
}

}  // namespace

// Those that have nothing left to do: all of them before others begin, for these ask what else is under way.
void LevelKeeper::end_merges(const LevelVersion& version, Work& work) {
  for (std::optional<Compaction>& merge : work.merges) {
    if (!merge || !merge->done(version)) continue;
    if (merge->plan().output.level == kBottomLevel) work.share_dropped = merge->share_dropped();
    merge.reset();
    ++work.stats.compactions;
    ++stats_.compactions;
  }
}

void LevelKeeper::begin_merges(const LevelVersion& version, Work& work) {
  const bool settle = settle_all_ || has_dense_tombstones(version) ||
                      (settling_ != 0 && untidy(version, work.share_dropped)) ||
                      (publisher_.short_of_space() && pages_to_give_back(version, work.share_dropped) >= 1);
  for (unsigned level = 0; level < kBottomLevel; ++level) {
    std::optional<Compaction>& merge = work.merges[level];
    if (merge) continue;
    std::vector<const CompactionPlan*> under_way;
    for (const auto& other : work.merges) {
      if (other) under_way.push_back(&other->plan());
    }
    const bool busy_below =
        std::any_of(work.merges.begin() + 1, work.merges.end(), [](const auto& m) { return m.has_value(); });
    std::optional<CompactionPlan> plan =
        pick_compaction(version, work.policy, level, under_way, settle && (level == 0 || !busy_below));
    if (!plan) continue;
    merge.emplace(store_, std::move(*plan));
    if (merge->done(version)) merge.reset();
  }
}

namespace {

// Have more runs come to the level of `merge` since it began than it has made room for?
bool is_behind(const Compaction& merge, const LevelVersion& version, SstablePlace unfinished) {
  const CompactionPlan& plan = merge.plan();
  std::size_t taken = 0;
  std::size_t fresh = 0;
  for (const LevelRun& run : version.runs()) {
    if (run.place.level != plan.from_level || run.place == unfinished) continue;
    ++(plan.has_input(run.place) ? taken : fresh);
  }
  return taken != 0 && static_cast<double>(fresh) > merge.share_done(version) * static_cast<double>(merge.from_runs());
}

}  // namespace

Compaction* LevelKeeper::next_merge(TableState& table, Work& work) {
  const LevelVersion& version = version_of(table.newest());
  choose_policy(table, work);
  end_merges(version, work);
  begin_merges(version, work);
  const auto highest =
      std::find_if(work.merges.begin(), work.merges.end(), [](const auto& m) { return m.has_value(); });
  if (highest == work.merges.end()) return nullptr;
  Compaction* next = &**highest;
  while (next->plan().output.level < kBottomLevel) {
    std::optional<Compaction>& below = work.merges[next->plan().output.level];
    if (!below || !is_behind(*below, version, next->plan().output)) break;
    next = &*below;
  }
  return next;
}

Task<Status> LevelKeeper::step(TableId id, PageStaging lane, bool& worked) {
  TableState* const table = tables_.find(id);
  Work& work = work_[id];
  if (table == nullptr || table->newest().height == 0) co_return Status();
  hold_up_writers(*table, work);
  if (!work.failure) co_return Status();
  if (!table->newest().content) {
    const TablePin pin(*table);
    co_await check(publisher_.load(*table));
  }
  Compaction* const merge = next_merge(*table, work);
  if (merge == nullptr) co_return Status();
  worked = true;
  const std::int64_t began_ns = core_.now_ns();
  CompactionStats spent;
  update_pressure();
  Status done = co_await run_slice(id, *merge, lane, SpaceUse::ordinary, spent);
  if (done.code() == Errc::no_space) done = co_await make_room(id, work, lane, spent);
  update_pressure();
  spent.ns = static_cast<std::uint64_t>(core_.now_ns() - began_ns);
  work.stats.add(spent);
  stats_.add(spent);
  co_return done;
}

// The device is full. First what only the fallback superblock holds, then what small runs waste, then what newer ones
// hide; then it has to wait.
Task<Status> LevelKeeper::make_room(TableId id, Work& work, PageStaging lane, CompactionStats& spent) {
  co_await making_room_.lock();
  const MutexGuard alone(making_room_);
  bool released = false;
  co_await check(publisher_.release_fallback(released));
  if (released) co_return Status();
  for (;;) {
    TableState* const table = tables_.find(id);
    if (table == nullptr || stopping_) co_return Status();
    std::optional<CompactionPlan> small = pick_smallest_runs(version_of(table->newest()));
    if (small) {
      Compaction merge(store_, std::move(*small));
      Status merged = co_await run_slice(id, merge, lane, SpaceUse::reserve, spent);
      if (merged.code() != Errc::no_space) co_return merged;
    }
    const std::optional<SstableId> next = next_to_tidy(version_of(table->newest()), work);
    if (!next) co_return Error(Errc::no_space, rt::str("merges of table \"", table->name(), "\" find no space"));
    Status done = co_await tidy(id, *next, lane, spent);
    if (done.code() != Errc::no_space) co_return done;
  }
}

// From the newest run down: what it gives back is soon room for larger ones.
std::optional<SstableId> LevelKeeper::next_to_tidy(const LevelVersion& version, Work& work) const {
  if (std::exchange(work.tidied_below, version.next_run()) != version.next_run()) work.tidied.clear();
  for (const LevelRun& run : version.runs()) {
    for (const SstablePtr& table : run.tables) {
      if (work.tidied.contains(table->id) || !may_be_tidied(version, run, *table)) continue;
      work.tidied.insert(table->id);
      return table->id;
    }
  }
  return std::nullopt;
}

// A table whose merges have failed for good. Its level 0 grows with every flush: see Errors.
void LevelKeeper::hold_up_writers(TableState& table, const Work& work) const {
  constexpr double kRunsMax = 4;  // levels 0 full of runs
  constexpr std::int64_t kDelayNsMax = 100'000'000;
  const bool failed = !work.failure && !worth_retrying(work.failure.code());
  double excess = 0;
  if (failed && table.newest().content) {
    excess = static_cast<double>(version_of(table.newest()).runs_at(0)) / work.policy.flush_runs;
  }
  if (excess <= 1) {
    if (table.backlog() != nullptr) table.set_backlog(nullptr);
    return;
  }
  auto backlog = std::make_unique<TableBacklog>();
  backlog->flush_delay_ns =
      static_cast<std::int64_t>(std::min(1.0, (excess - 1) / (kRunsMax - 1)) * static_cast<double>(kDelayNsMax));
  if (excess >= kRunsMax) {
    backlog->refusal =
        work.failure.error().within(rt::str("table \"", table.name(), "\" takes no more writes: its merges fail"));
  }
  table.set_backlog(std::move(backlog));
}

Task<Status> LevelKeeper::run_slice(TableId id, Compaction& merge, PageStaging lane, SpaceUse use,
                                    CompactionStats& spent) {
  const std::unique_ptr<PageWriter> ahead = writer_ahead(lane, use);
  LevelEdit edit;
  const ViewRef view(views_);  // its pages stay while they are read
  const TableRoot root = tables_.find(id)->newest();
  const std::uint64_t entries_before = merge.entries_read();
  Status done = co_await merge.build_slice(root, *ahead, edit);
  spent.entries += merge.entries_read() - entries_before;
  bool published = false;
  done = co_await finish_slice(id, *ahead, std::move(done), edit, spent, published);
  if (published) merge.published();
  publisher_.slice_done();
  co_return done;
}

Task<Status> LevelKeeper::tidy(TableId id, SstableId sstable, PageStaging lane, CompactionStats& spent) {
  const std::unique_ptr<PageWriter> ahead = writer_ahead(lane, SpaceUse::reserve);
  LevelEdit edit;
  const ViewRef view(views_);
  const TableRoot root = tables_.find(id)->newest();
  Status done = co_await tidy_sstable(store_, root, sstable, *ahead, edit);
  bool published = false;
  done = co_await finish_slice(id, *ahead, std::move(done), edit, spent, published);
  co_return done;
}

std::unique_ptr<PageWriter> LevelKeeper::writer_ahead(PageStaging lane, SpaceUse use) {
  Committer& committer = publisher_.committer();
  auto writer = std::make_unique<PageWriter>(publisher_.space(), store_.cache(), lane.buffers, lane.buffer_bytes,
                                             committer.record().page.file_id, committer.building());
  writer->build_ahead(committer.lane());
  writer->use(use);
  return writer;
}

// What was built, published or given up.
Task<Status> LevelKeeper::finish_slice(TableId id, PageWriter& ahead, Status built, const LevelEdit& edit,
                                       CompactionStats& spent, bool& published) {
  Status done = std::move(built);
  if (done && stopping_) done = Errc::cancelled;
  if (done) done = co_await publish(id, ahead, edit, spent, published);
  co_await ahead.abandon();  // what was published is no longer its own
  ++spent.slices;
  spent.pages_written += ahead.stats().pages;
  co_return done;
}

Task<Status> LevelKeeper::publish(TableId id, PageWriter& ahead, const LevelEdit& edit, CompactionStats& spent,
                                  bool& published) {
  Mutex& lane = publisher_.committer().lane();
  co_await lane.lock();
  const MutexGuard guard(lane);
  if (publisher_.committer().poisoned()) co_return publisher_.committer().poison();
  TableState* const table = tables_.find(id);
  if (table == nullptr || !applies_to(edit, version_of(table->newest()))) {
    ++spent.discarded;
    co_return Status();
  }
  const std::unique_ptr<PageWriter> writer = publisher_.writer(SpaceUse::reserve);
  if (!CAMBIUM_PLANTED(reserved_pages_not_adopted)) ahead.adopt();
  Result<TableRoot> root = co_await store_.edit(table->newest(), edit, *writer);
  spent.pages_written += writer->stats().pages;
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

TableCompaction LevelKeeper::state_of(TableId id) const {
  const auto found = work_.find(id);
  const Work begun;
  const Work& work = found == work_.end() ? begun : found->second;
  TableCompaction state;
  state.flush_runs = work.policy.flush_runs;
  state.tier_runs = work.policy.tier_runs;
  state.reason = work.policy.reason;
  for (const auto& merge : work.merges) state.merging = state.merging || merge.has_value();
  if (!work.failure) state.failure = std::string(work.failure.error().message());
  state.merges = work.stats.compactions;
  state.slices = work.stats.slices;
  state.entries_read = work.stats.entries;
  state.bytes_written = work.stats.pages_written * kPageBytes;
  state.ns = work.stats.ns;
  return state;
}

namespace {

// Levels 0 full of runs, of what is left to be merged: below the first a flush waits for nothing, beyond the second for
// as long as it takes.
constexpr double kExcessFrom = 4.0 / 3;
constexpr double kExcessMax = 5.0 / 2;

}  // namespace

double LevelKeeper::excess_of(const TableState& table, const Work& work) const noexcept {
  if (!table.newest().content || table.kind() != TableKind::levels || !work.failure) return 0;
  const LevelVersion& version = version_of(table.newest());
  auto runs = static_cast<double>(version.runs_at(0));
  if (const auto& merge = work.merges[0]) {
    runs -= merge->share_done(version) * static_cast<double>(merge->from_runs());
  }
  return runs / work.policy.flush_runs;
}

void LevelKeeper::update_pressure() noexcept {
  double most = 0;
  for (const auto& [id, work] : work_) {
    const TableState* const table = tables_.find(id);
    if (table != nullptr) most = std::max(most, excess_of(*table, work));
  }
  unsigned toll = 0;
  if (most > kExcessMax) {
    toll = Publisher::kStopFlushes;
  } else if (most > kExcessFrom) {
    toll = static_cast<unsigned>(std::ceil((most - kExcessFrom) * kSlicesPerExcess));
  }
  publisher_.set_flush_toll(paused_ || stopping_ ? 0 : toll);
}

bool LevelKeeper::far_behind() const noexcept {
  for (const auto& [id, table] : tables_) {
    const auto work = work_.find(id);
    if (table->live() && excess_of(*table, work == work_.end() ? Work() : work->second) > kExcessMax) return true;
  }
  return false;
}

Task<void> LevelKeeper::catch_up() {
  while (!paused_ && !stopped_.is_set() && far_behind()) {
    publisher_.published().wake_all();
    const Errc woken = co_await publisher_.published().wait(nullptr, core_.now_ns() + kRetryNs);
    static_cast<void>(woken);
  }
}

}  // namespace cambium
