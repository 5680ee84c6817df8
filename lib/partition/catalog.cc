// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/catalog.h"

#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "compress/codec.h"
#include "flush/partition_log.h"
#include "partition/partition_state.h"

namespace cambium {

namespace {

Error no_such_table(std::string_view name) {
  return Error(Errc::not_found, rt::str("there is no table \"", name, "\""));
}
Error table_exists(std::string_view name) {
  return Error(Errc::exists, rt::str("there is a table \"", name, "\" already"));
}

Status can_compress(const TableOptions& options) {
  const Compression compression = options.compression;
  if (compression == Compression::none) return {};
  if (options.kind == TableKind::tree)
    return Error(Errc::invalid_argument, "only tables of kind levels are compressed");
  if (compression > Compression::zstd) return Error(Errc::invalid_argument, "there is no such compression");
  if (has_codec(compression)) return {};
  return Error(Errc::unsupported, rt::str("this build of Cambium was made without lib", name_of(compression)),
               rt::str("install lib", name_of(compression), "-dev and build it again, or choose another compression"));
}

}  // namespace

Table handle_of(const TableState& table) noexcept { return Table(table.id(), table.kind(), table.shared_name()); }

// ---- what Partition calls -----------------------------------------------------------------------------------------

Error PartitionState::no_table(TableId id) const {
  return Error(Errc::not_found, rt::str("table number ", raw(id), " of ", path, " was dropped"));
}

Op<Table> PartitionState::open_table(Bytes name, TableOptions table_options, TableMode mode) {
  if (closing) return Error(Errc::closed, rt::str("partition ", path, " is closed"));
  if (const Status named = check_table_name(name.view()); !named) return named.error();
  if (const TableState* const table = tables.find(name.view()); table != nullptr) {
    if (mode == TableMode::create) return table_exists(name.view());
    return Result<Table>(handle_of(*table));
  }
  if (mode == TableMode::open) return no_such_table(name.view());
  if (table_options.kind == TableKind::tree && table_options.index != TableIndex::automatic) {
    return Error(Errc::invalid_argument, "only tables of kind levels have a choice of index");
  }
  if (const Status ok = can_compress(table_options); !ok) return ok.error();
  if (const Status ok = accepts_writes(); !ok) return ok.error();
  const Core::Scope scope(core);
  return catalog->create(name.str(), table_options, mode);
}

Op<void> PartitionState::rename_table(Bytes from, Bytes to) {
  if (const Status named = check_table_name(to.view()); !named) return named.error();
  const TableState* const table = tables.find(from.view());
  if (table == nullptr) return no_such_table(from.view());
  if (table->id() == kDefaultTable) return Error(Errc::invalid_argument, "the default table cannot be renamed");
  if (const Status ok = accepts_writes(); !ok) return ok.error();
  const Core::Scope scope(core);
  return catalog->rename(from.str(), to.str());
}

Op<void> PartitionState::drop_table(Bytes name) {
  const TableState* const table = tables.find(name.view());
  if (table == nullptr) return no_such_table(name.view());
  if (table->id() == kDefaultTable) return Error(Errc::invalid_argument, "the default table cannot be dropped");
  if (const Status ok = accepts_writes(); !ok) return ok.error();
  const Core::Scope scope(core);
  return catalog->drop(name.str());
}

// ---- requests -----------------------------------------------------------------------------------------------------

Op<Table> Catalog::create(std::string name, TableOptions options, TableMode mode) {
  const GatePass pass(partition_.operations);
  Request request(Verb::create);
  request.options = options;
  request.mode = mode;
  request.name = std::move(name);
  co_await carry_out(request);
  if (!request.result) co_return request.result.error();
  co_return *std::move(request.table);
}

Op<void> Catalog::rename(std::string from, std::string to) {
  const GatePass pass(partition_.operations);
  Request request(Verb::rename);
  request.name = std::move(from);
  request.to = std::move(to);
  co_await check(partition_.wait_until_durable(partition_.last_sequence));
  co_await carry_out(request);
  co_return request.result;
}

Op<void> Catalog::drop(std::string name) {
  const GatePass pass(partition_.operations);
  Request request(Verb::drop);
  request.name = std::move(name);
  const Status before = co_await partition_.wait_until_durable(partition_.last_sequence);
  if (!before && before.code() != Errc::no_space) co_return before;
  co_await carry_out(request);
  co_return request.result;
}

// Whoever comes while no round is under way leads one, for all that wait.
Task<void> Catalog::carry_out(Request& request) {
  waiting_.push_back(&request);
  while (!request.done) {
    if (in_round_) {
      co_await round_over_.wait();
      continue;
    }
    in_round_ = true;
    co_await round();
    in_round_ = false;
    round_over_.wake_all();
  }
}

void Catalog::finish(Request& request, const Status& result) {
  request.result = result;
  request.done = true;
}

Task<void> Catalog::round() {
  // A sorted load that has begun holds the lane for as long as its owner likes.
  const Status welcome = partition_.accepts_writes();
  if (!welcome) {
    for (Request* const request : waiting_) finish(*request, welcome);
    waiting_.clear();
    co_return;
  }
  co_await partition_.committer->lane().lock();
  const MutexGuard lane(partition_.committer->lane());
  std::vector<Request*> requests;
  gather(requests);
  if (requests.empty()) co_return;
  const Status committed = co_await commit(requests);
  for (Request* const request : requests) finish(*request, committed);
}

// Those that can be judged by the tables as they are: of each name the first. Drops may take the reserve, so they keep
// to themselves.
void Catalog::gather(std::vector<Request*>& requests) {
  std::set<std::string_view> names;
  while (!waiting_.empty() && requests.size() < kRoundMax) {
    Request& request = *waiting_.front();
    if (names.contains(request.name) || names.contains(request.to)) break;
    const bool drop = request.verb == Verb::drop;
    if (!requests.empty() && drop != (requests.front()->verb == Verb::drop)) break;
    waiting_.pop_front();
    if (settled(request)) continue;
    names.insert(request.name);
    if (request.verb == Verb::rename) names.insert(request.to);
    requests.push_back(&request);
  }
}

// Is there nothing to commit for it?
bool Catalog::settled(Request& request) {
  TableSet& tables = partition_.tables;
  const TableState* const table = tables.find(request.name);
  if (request.verb == Verb::create) {
    if (table == nullptr) return false;
    if (request.mode != TableMode::create) request.table = handle_of(*table);
    finish(request, request.table ? Status() : Status(table_exists(request.name)));
    return true;
  }
  if (table == nullptr) {
    finish(request, no_such_table(request.name));
  } else if (request.verb == Verb::drop) {
    return false;
  } else if (request.to == request.name) {
    finish(request, Status());
  } else if (tables.find(request.to) != nullptr) {
    finish(request, table_exists(request.to));
  }
  return request.done;
}

// ---- the commit ---------------------------------------------------------------------------------------------------

Task<Status> Catalog::commit(const std::vector<Request*>& requests) {
  Committer& committer = *partition_.committer;
  CatalogEdit edit{.rows = {}, .next_table_id = committer.record().next_table_id};
  if (std::numeric_limits<std::uint32_t>::max() - edit.next_table_id < requests.size()) {
    co_return Error(Errc::resource, rt::str(partition_.path, " has had as many tables as there are numbers for"),
                    "copy what it holds into a new partition");
  }
  for (Request* const request : requests) add_rows(*request, edit);

  // (1) The rows and the counter, in one commit. Crash: all of them or none; nothing refers to the numbers yet.
  const SpaceUse use = requests.front()->verb == Verb::drop ? SpaceUse::reserve : SpaceUse::ordinary;
  Status done = co_await commit_edit(edit, use);
  if (done.code() == Errc::no_space && partition_.space->held_by_fallback() != 0) {
    co_await check(committer.touch());  // what only the fallback superblock held is free now
    done = co_await commit_edit(edit, use);
  }
  if (!done) co_return done;

  // (2) Without a suspension since: everybody sees it.
  for (Request* const request : requests) apply(*request);

  // (3) With a log, the other superblock too: should the newest one rot, the records that are to come name tables that
  //     are there. Crash: as after (1); no such record has been written.
  if (partition_.log->writer() != nullptr) done = co_await committer.touch();
  co_return done;
}

Task<Status> Catalog::commit_edit(const CatalogEdit& edit, SpaceUse use) {
  Publisher& publisher = *partition_.publisher;
  const std::unique_ptr<PageWriter> writer = publisher.writer(use);
  std::vector<NewRoot> no_roots;
  const Sequence flushed{publisher.committer().record().sequence};
  Status done = co_await publisher.commit(*writer, no_roots, flushed, &edit);
  co_return done;
}

void Catalog::add_rows(Request& request, CatalogEdit& edit) {
  if (request.verb == Verb::create) {
    request.id = TableId{edit.next_table_id++};
    TableRoot empty;
    empty.index = request.options.index;
    empty.compression = request.options.compression;
    edit.rows.push_back({catalog_key(request.id), catalog_value(request.name, request.options.kind, empty), false});
    if (empty.index == TableIndex::learned) edit.features_needed |= format::kFeatureLearned;
    edit.features_needed |= format::feature_of(empty.compression);
    return;
  }
  const TableState& table = *partition_.tables.find(request.name);
  if (request.verb == Verb::drop) {
    edit.rows.push_back({catalog_key(table), {}, true});
    if (table.newest().height == 0) return;  // nothing to free; should a snapshot need a flush of it, that makes a row
    edit.rows.push_back(
        {catalog_key(table.id(), format::kDroppedRowKind), catalog_value(table, table.newest()), false});
    return;
  }
  edit.rows.push_back({catalog_key(table.id()), catalog_value(request.to, table.kind(), table.newest()), false});
}

void Catalog::apply(Request& request) {
  TableSet& tables = partition_.tables;
  if (request.verb == Verb::create) {
    const TableOptions& chosen = request.options;
    request.table = handle_of(tables.add(request.id, request.name, chosen.kind, chosen.index, chosen.compression));
    if (chosen.kind == TableKind::levels) partition_.space->reserve_for_sstables(partition_.plan.sstable_pages_max());
    return;
  }
  TableState& table = *tables.find(request.name);
  if (request.verb == Verb::rename) {
    tables.rename(table, request.to);
  } else if (table.newest().height == 0 && partition_.snapshots.count() == 0) {
    tables.remove(table);
  } else {
    tables.drop(table, ++partition_.tables_epoch);
    partition_.remover->wake();
  }
}

}  // namespace cambium
