// SPDX-License-Identifier: MIT OR Apache-2.0
// The whole-file check: every page of every table, and the space map against what is reachable.
//
// It looks at one version: roots and space map are copied between two commits, then a view keeps that version's pages
// in place while commits go on. The space map's own pages change with every commit; each is read between two of them.
// The log comes first: what of it is durable then is followed until it has been read, or the log begins behind it.
#include <optional>
#include <string>
#include <utility>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "cache/page_reader.h"
#include "partition/page_survey.h"
#include "partition/partition_state.h"
#include "space/superblock_store.h"
#include "wal/log_survey.h"
#include "wal/log_verifier.h"

namespace cambium {

namespace {

struct TableVersion {
  std::string name;
  TableStore& store;
  TableRoot root;
  bool live;  // or a dropped table whose pages are still there
};

// Everything that belongs together, as of one moment between two commits.
struct Version {
  ViewRef view;
  std::vector<TableVersion> tables;  // the catalog first
  std::vector<bool> used;
  std::uint64_t used_pages;
  std::vector<PageRun> log;  // its segments
  std::optional<LogRange> log_range;
};

Version version_of(PartitionState& partition) {
  Version version{ViewRef(*partition.views),     {}, partition.space->used_pages_map(),
                  partition.space->used_pages(), {}, {}};
  for (const std::uint32_t page : partition.log->first_pages()) {
    version.log.push_back({PageId{page}, partition.log->segment_pages()});
  }
  version.log_range = partition.log->range(Sequence{partition.committer->record().sequence});
  version.tables.push_back({"", *partition.trees, partition.publisher->catalog(), false});
  for (const auto& [id, table] : partition.tables) {
    version.tables.push_back({table->name(), partition.publisher->store_of(*table), table->newest(), table->live()});
  }
  return version;
}

void add_damage(CheckReport& report, Damage damage) {
  ++report.damaged_places;
  if (report.damages.size() < CheckReport::kDamagesMax) report.damages.push_back(std::move(damage));
}

Status outcome(const CheckReport& report) {
  if (report.whole()) return {};
  const std::string more =
      report.damaged_places > 1 ? rt::str(" (and ", report.damaged_places - 1, " more damaged places)") : "";
  return Error(Errc::corruption, rt::str(report.damages.front().reason, more),
               "restore the file from a backup, or use `cambium salvage`");
}

// Marks what is reachable, and complains about anything reached twice or not in use.
class ReachablePages final : public PageVisitor {
 public:
  ReachablePages(const std::vector<bool>& used, std::string_view file, CheckReport& report)
      : survey_(used, file), report_(report) {}

  Status visit(PageRun run, Generation) override {
    Status taken = survey_.take(run);
    const Status in_use = taken ? survey_.expect_used(run) : Status();
    if (!in_use) add_damage(report_, {raw(run.first), table, "", "", std::string(in_use.error().message())});
    return taken;
  }
  void damaged(const DamagedPlace& place) override {
    add_damage(report_, {raw(place.page), table, place.low, place.high, std::string(place.reason.message())});
  }
  std::uint64_t count() const noexcept { return survey_.count(); }

  std::string table;  // whose pages are being walked

 private:
  PageSurvey survey_;
  CheckReport& report_;
};

class LogFindings final : public LogVisitor {
 public:
  LogFindings(const WalWriter* writer, CheckReport& report) : writer_(writer), report_(report) {}
  void damaged(const LogDamage& found) override {
    Damage damage{found.page, "", "", "", found.reason};
    damage.in_log = true;
    damage.log_position = found.position;
    damage.first_write = found.first;
    damage.last_write = found.last;
    add_damage(report_, std::move(damage));
  }
  std::uint64_t begins_at() const override { return writer_ != nullptr ? writer_->start_position() : 0; }

 private:
  const WalWriter* writer_;
  CheckReport& report_;
};

Task<Status> check_log(PartitionState& partition, std::optional<LogRange>& range, CheckReport& report) {
  const PartitionLog& log = *partition.log;
  LogFindings findings(log.writer(), report);
  if (!range && partition.purpose == PartitionState::Purpose::inspection && log.exists() && !log.clean()) {
    const Sequence in_tables{partition.committer->record().sequence};
    Result<LogRange> surveyed = co_await survey_log(*partition.device, log.layout(), in_tables, findings);
    if (!surveyed && surveyed.code() != Errc::corruption) co_return surveyed.error();
    if (!surveyed) findings.damaged({0, 0, 0, {}, {}, std::string(surveyed.error().message())});
    if (surveyed) range = std::move(*surveyed);
  }
  if (!range) co_return Status();
  LogVerifier walk(*partition.device, *range, findings);
  while (!walk.done()) {
    co_await check(walk.step());
    if (partition.core.over_budget()) co_await partition.core.yield();
  }
  report.log_bytes = walk.bytes_read();
  report.log_records = walk.records();
  co_return Status();
}

// Superblocks, group tables and bitmaps as they are on the device, each looked at while no commit is under way.
Task<Status> check_space(PartitionState& partition, CheckReport& report) {
  PageReader reader(*partition.device, partition.committer->record().page.file_id);
  SpaceMap& space = *partition.space;
  Mutex& lane = partition.committer->lane();
  {
    co_await lane.lock();
    const MutexGuard guard(lane);
    co_await check(reader.read_raw(PageId{0}, format::kSuperblockPages));
    for (unsigned page = 0; page < format::kSuperblockPages; ++page) {
      const auto& copy = *reinterpret_cast<const format::Superblock*>(reader.page(page));
      if (!intact_superblock(copy, page)) report.superblock_damaged = true;
    }
  }
  const auto note = [&](const Status& status) {
    if (!status) add_damage(report, {0, "", "", "", std::string(status.error().message())});
  };
  for (std::uint32_t region = 0; region < space.table_count(); ++region) {
    co_await lane.lock();
    const MutexGuard guard(lane);
    const Status whole = co_await space.verify_table(region, reader.memory());
    note(whole);
  }
  for (std::uint32_t group = 0; group < space.group_count(); ++group) {
    co_await lane.lock();
    const MutexGuard guard(lane);
    const Status whole = co_await space.verify_group(group, reader.memory());
    note(whole);
  }
  co_return Status();
}

}  // namespace

Task<Status> PartitionState::inspect(CheckReport& report) {
  co_await check(not_loading());
  const GatePass pass(operations);
  co_await committer->lane().lock();
  Version version = version_of(*this);
  report.free_pages = space->free_pages();
  report.held_pages = space->held_pages();
  report.superblock_damaged = superblock_damaged;
  std::uint64_t own = format::kSuperblockPages;
  for (std::uint32_t group = 0; group < space->group_count(); ++group) own += format::group_own_pages(group);
  committer->lane().unlock();

  co_await check(check_log(*this, version.log_range, report));
  ReachablePages reachable(version.used, path, report);
  for (const PageRun& segment : version.log) {
    const Status met = reachable.visit(segment, Generation{});
    if (!met) add_damage(report, {raw(segment.first), "", "", "", std::string(met.error().message())});
  }
  for (const TableVersion& table : version.tables) {
    reachable.table = table.name;
    const Status walked = co_await table.store.check(table.root, reachable);
    const bool looked_at = walked || walked.code() == Errc::corruption || walked.code() == Errc::io;
    if (!looked_at) co_return walked;
    if (!table.live) continue;
    TableRoot root = table.root;
    const Status loaded = co_await table.store.load(root);
    report.entries += loaded ? root.entries() : 0;
    ++report.tables;
  }
  co_await check(check_space(*this, report));
  report.reachable_pages = reachable.count() + own;
  // With something damaged, what lies below it was not reached, and the figures cannot agree.
  if (report.whole() && report.reachable_pages != version.used_pages) {
    add_damage(report, {0, "", "", "",
                        rt::str("the space map of ", path, " has ", version.used_pages, " pages in use, ",
                                report.reachable_pages, " are reachable: space was lost, data was not")});
  }
  co_return outcome(report);
}

}  // namespace cambium
