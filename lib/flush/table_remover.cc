// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_remover.h"

#include <algorithm>
#include <memory>

#include <cambium/rt/check.h>
#include <cambium/rt/core.h>

#include "base/log.h"
#include "base/text.h"

namespace cambium {

namespace {

constexpr std::int64_t kRetryNs = 100'000'000;

bool worth_retrying(Errc code) noexcept {
  return code == Errc::no_space || code == Errc::busy || code == Errc::resource;
}

}  // namespace

void TableRemover::stop() noexcept {
  stopping_ = true;
  cancel_.request();
  wake();
}

bool TableRemover::due(TableId id) noexcept {
  return !damaged_.contains(id) && !snapshots_.any_before(tables_.find(id)->dropped_epoch());
}

bool TableRemover::work_due() noexcept {
  const std::vector<TableId>& dropped = tables_.dropped();
  return std::any_of(dropped.begin(), dropped.end(), [&](TableId id) { return due(id); });
}

Task<void> TableRemover::run() {
  while (!stopping_ && !publisher_.committer().poisoned()) {
    if (!work_due()) {
      co_await snapshots_.ended.wait();
      continue;
    }
    Status done = co_await round();
    if (done.code() == Errc::no_space) done = co_await make_room();
    if (done) {
      co_await core_.yield();
    } else if (worth_retrying(done.code())) {
      const Errc slept = co_await sleeper_.wait(&cancel_, core_.now_ns() + kRetryNs);
      static_cast<void>(slept);  // stopping_ says it
    }
  }
  stopped_.set();
}

// The device is full. First what only the fallback superblock holds, then less at a time.
Task<Status> TableRemover::make_room() {
  co_await publisher_.committer().lane().lock();
  const MutexGuard lane(publisher_.committer().lane());
  if (publisher_.space().held_by_fallback() != 0) co_return co_await publisher_.committer().touch();
  if (leaves_max_ == 1) co_return Error(Errc::no_space);
  leaves_max_ /= 2;
  co_return Status();
}

Task<Status> TableRemover::round() {
  Committer& committer = publisher_.committer();
  co_await committer.lane().lock();
  const MutexGuard lane(committer.lane());
  const std::unique_ptr<PageWriter> writer = publisher_.writer(SpaceUse::reserve);
  std::vector<NewRoot> left;
  std::vector<TableState*> emptied;
  const Status cut = co_await cut_all(*writer, left, emptied);
  if (!cut) {
    Status failed = co_await publisher_.give_up(*writer, cut);
    co_return failed;
  }
  CatalogEdit edit{.rows = {}, .next_table_id = committer.record().next_table_id};
  for (const TableState* const table : emptied) edit.rows.push_back({catalog_key(*table), {}, true});
  Status committed = co_await publisher_.commit(*writer, left, Sequence{committer.record().sequence}, &edit);
  if (!committed) co_return committed;
  for (TableState* const table : emptied) tables_.remove(*table);
  leaves_max_ = std::min(leaves_max_ * 2, kLeavesPerRound);
  co_return Status();
}

Task<Status> TableRemover::cut_all(PageWriter& writer, std::vector<NewRoot>& left, std::vector<TableState*>& emptied) {
  const std::vector<TableId> dropped = tables_.dropped();
  std::size_t leaves = 0;
  for (const TableId id : dropped) {
    if (leaves >= leaves_max_ || left.size() + emptied.size() >= kTablesPerRound || stopping_) break;
    if (!due(id)) continue;
    TableState& table = *tables_.find(id);
    Result<TableRoot> root = co_await cut(table, writer, leaves);
    if (!root && !worth_retrying(root.code())) {
      damaged_.insert(id);
      rt::log(rt::LogLevel::error,
              rt::str("the space of dropped table \"", table.name(), "\" stays in use: ", root.error().message()));
    }
    if (!root) co_return root.error();
    if (root->height == 0) {
      emptied.push_back(&table);
    } else {
      left.push_back({&table, *root});
    }
  }
  co_return Status();
}

// The table without a part of it, as large as is left to this round.
Task<Result<TableRoot>> TableRemover::cut(TableState& table, PageWriter& writer, std::size_t& leaves) {
  if (table.newest().height == 0) co_return table.newest();
  Result<TableRoot> rest = co_await publisher_.store_of(table).cut(table.newest(), leaves_max_, writer, leaves);
  co_return rest;
}

}  // namespace cambium
