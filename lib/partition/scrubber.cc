// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/scrubber.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/semaphore.h>

#include "base/log.h"
#include "base/text.h"
#include "flush/partition_log.h"
#include "levels/level_store.h"
#include "space/superblock_store.h"
#include "tree/tree_walk.h"
#include "wal/log_verifier.h"

namespace cambium {

namespace {

// Keys are bytes; a log is lines of text.
std::string quoted(std::string_view key) {
  std::string text = "\"";
  for (const char c : key) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    if (plain) {
      text += c;
    } else {
      constexpr const char* kDigits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text += '"';
}

}  // namespace

Scrubber::Scrubber(BlockDevice& device, Publisher& publisher, TableSet& tables, Views& views, std::uint32_t mb_per_s)
    : device_(device),
      publisher_(publisher),
      tables_(tables),
      views_(views),
      reader_(device, publisher.committer().record().page.file_id),
      bytes_per_s_(std::uint64_t{mb_per_s} * 1'000'000) {}

Task<void> Scrubber::run() {
  Core& core = device_.core();
  while (!stopping_) {
    const std::int64_t began_ns = core.now_ns();
    const Status done = co_await round();
    if (done) ++stats_.rounds;
    if (!done && !stopping_)
      rt::log(rt::LogLevel::warn, rt::str("scrub of ", device_.name(), " was interrupted: ", done.error().message()));
    const Status ignored = co_await pause_until(began_ns + kRoundNs);
    static_cast<void>(ignored);  // stopping_ says it
  }
  stopped_.set();
}

void Scrubber::stop() noexcept {
  stopping_ = true;
  cancel_.request();
}

Task<void> Scrubber::stopped() { co_await stopped_.wait(); }

// ---- the rate -----------------------------------------------------------------------------------------------------

Task<Status> Scrubber::pause_until(std::int64_t due_ns) {
  if (stopping_) co_return Errc::cancelled;
  if (due_ns <= device_.core().now_ns()) co_return Status();
  const Errc woken = co_await sleeper_.wait(&cancel_, due_ns);
  co_return woken == Errc::timeout ? Status() : Status(Errc::cancelled);
}

// What was read is paid for before more is: so many bytes take so long, whatever the device could do.
Task<Status> Scrubber::pace(std::uint64_t pages_read) {
  const std::uint64_t pages = pages_read - std::exchange(paced_pages_, pages_read);
  stats_.pages += pages;
  const std::int64_t earliest_ns = device_.core().now_ns() - kBurstNs;
  due_ns_ =
      std::max(due_ns_, earliest_ns) + static_cast<std::int64_t>(pages * kPageBytes * 1'000'000'000 / bytes_per_s_);
  Status paused = co_await pause_until(due_ns_);
  co_return paused;
}

// ---- a round ------------------------------------------------------------------------------------------------------

Task<Status> Scrubber::round() {
  Status logged = co_await scrub_log();
  if (!logged) co_return logged;
  std::vector<TableId> ids = {kCatalogTable};
  for (const auto& [id, table] : tables_) ids.push_back(id);
  for (const TableId id : ids) {
    Status scrubbed = co_await scrub_table(id);
    if (!scrubbed) co_return scrubbed;
  }
  Status scrubbed = co_await scrub_space();
  co_return scrubbed;
}

// What is durable of the log now, unless the log leaves it behind meanwhile.
Task<Status> Scrubber::scrub_log() {
  Core& core = device_.core();
  table_ = "the log";
  const Committer& committer = publisher_.committer();
  const std::optional<LogRange> range = committer.log()->range(Sequence{committer.record().sequence});
  if (!range) co_return Status();
  LogVerifier walk(device_, *range, *this);
  paced_pages_ = 0;
  while (!walk.done()) {
    Status stepped = co_await walk.step();
    if (stepped) stepped = co_await pace(walk.bytes_read() / kPageBytes);
    if (!stepped) co_return stepped;
    if (core.over_budget()) co_await core.yield();
  }
  co_return Status();
}

std::uint64_t Scrubber::begins_at() const {
  const WalWriter* const writer = publisher_.committer().log()->writer();
  return writer != nullptr ? writer->start_position() : 0;
}

// The newest version's; empty when the table was dropped meanwhile.
TableRoot Scrubber::root_of(TableId id) const {
  if (id == kCatalogTable) return publisher_.catalog();
  const TableState* const table = tables_.find(id);
  return table != nullptr ? table->newest() : TableRoot();
}

Task<Status> Scrubber::scrub_table(TableId id) {
  const TableState* const table = id == kCatalogTable ? nullptr : tables_.find(id);
  table_ = table != nullptr ? table->name() : "the catalog";
  std::string from;
  for (bool more = true; more;) {
    Status scrubbed = co_await scrub_part(id, from, more);
    if (!scrubbed) co_return scrubbed;
  }
  if (table == nullptr || table->kind() != TableKind::levels) co_return Status();
  Status scrubbed = co_await scrub_sstables(id);
  co_return scrubbed;
}

// What scrub_part() walked of a level store is its manifest. One sstable after the other, in the order of their
// numbers, each under a view of its own: those that compactions make meanwhile have higher ones.
Task<Status> Scrubber::scrub_sstables(TableId id) {
  SstableId after{};
  bool more = true;
  while (more && !stopping_) more = co_await scrub_next_sstable(id, after);
  co_return stopping_ ? Status(Errc::cancelled) : Status();
}

Task<bool> Scrubber::scrub_next_sstable(TableId id, SstableId& after) {
  const ViewRef view(views_);
  TableRoot root = root_of(id);
  LevelStore& store = static_cast<LevelStore&>(publisher_.stores().of(TableKind::levels));
  const Status loaded = co_await store.load(root);
  if (!loaded || !root.content) co_return false;  // the manifest's damage was reported
  SstablePtr next;
  for (const LevelRun& run : version_of(root).runs()) {
    for (const SstablePtr& table : run.tables) {
      if (table->id > after && (!next || table->id < next->id)) next = table;
    }
  }
  if (!next) co_return false;
  after = next->id;
  paced_pages_ = 0;
  const Status whole = co_await store.check_sstable(*next, *this);  // damage was reported
  static_cast<void>(whole);
  co_return true;
}

// As much of a table as goes under one view; `from` becomes the key to go on at.
Task<Status> Scrubber::scrub_part(TableId id, std::string& from, bool& more) {
  Core& core = device_.core();
  const ViewRef view(views_);
  const TableRoot root = root_of(id);  // of this view: nothing has suspended since
  more = false;
  if (root.height == 0) co_return Status();
  TreeWalk walk(reader_, *this, TreeWalk::Values::verify);
  walk.begin(root, from);
  paced_pages_ = 0;
  const std::int64_t until_ns = core.now_ns() + kViewNs;
  while (!walk.done()) {
    if (walk.can_pause() && core.now_ns() >= until_ns && walk.next_key() > from) {
      from = walk.next_key();
      more = true;
      break;
    }
    Status stepped = co_await walk.step();
    if (stepped) stepped = co_await pace(walk.pages_read());
    if (!stepped) co_return stepped;
    if (core.over_budget()) co_await core.yield();
  }
  co_return Status();
}

// ---- the space map ------------------------------------------------------------------------------------------------

Task<Status> Scrubber::scrub_space() {
  table_ = "the space map";
  for (std::uint32_t region = 0; region < publisher_.space().table_count(); ++region) {
    Status scrubbed = co_await scrub_space_page(region, true);
    if (!scrubbed) co_return scrubbed;
  }
  for (std::uint32_t group = 0; group < publisher_.space().group_count(); ++group) {
    Status scrubbed = co_await scrub_space_page(group, false);
    if (!scrubbed) co_return scrubbed;
  }
  Mutex& lane = publisher_.committer().lane();
  const Errc locked = co_await lane.lock(&cancel_);
  if (locked != Errc::ok) co_return locked;
  Status read = co_await reader_.read_raw(PageId{0}, format::kSuperblockPages);
  lane.unlock();
  if (!read) report(read.error());
  for (unsigned page = 0; read && page < format::kSuperblockPages; ++page) {
    if (intact_superblock(*reinterpret_cast<const format::Superblock*>(reader_.page(page)), page)) continue;
    report(Error(Errc::corruption, rt::str("page ", page, " of ", device_.name(), ", a copy of the superblock, ",
                                           "fails its checksum; the next commits mend it")));
  }
  paced_pages_ = 0;
  Status paced = co_await pace(format::kSuperblockPages);
  co_return paced;
}

Task<Status> Scrubber::scrub_space_page(std::uint32_t index, bool table) {
  Mutex& lane = publisher_.committer().lane();
  const Errc locked = co_await lane.lock(&cancel_);
  if (locked != Errc::ok) co_return locked;
  Status whole;
  if (table) {
    whole = co_await publisher_.space().verify_table(index, reader_.memory());
  } else {
    whole = co_await publisher_.space().verify_group(index, reader_.memory());
  }
  lane.unlock();
  if (!whole) report(whole.error());
  paced_pages_ = 0;
  Status paced = co_await pace(1);
  co_return paced;
}

// ---- damage -------------------------------------------------------------------------------------------------------

void Scrubber::damaged(const DamagedPlace& place) {
  const std::string to = place.high.empty() ? "the last key" : quoted(place.high);
  report(Error(place.reason.code(), rt::str(place.reason.message(), "; keys from ", quoted(place.low), " to ", to)));
}

void Scrubber::damaged(const LogDamage& damage) { report(Error(Errc::corruption, damage.reason)); }

void Scrubber::report(const Error& reason) {
  ++stats_.damaged;
  rt::log(rt::LogLevel::error, rt::str("scrub found damage in ", table_, ": ", reason.message()));
}

}  // namespace cambium
