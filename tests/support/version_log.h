// SPDX-License-Identifier: MIT OR Apache-2.0
// VersionLog: what a partition may hold after a power cut: its content after every write of a workload, and the bounds.
//
// Version n is the content after the first n writes, a batch being one. After a cut the file has to show one version
// from acknowledged() (the last flush that returned) to submitted() (the last write that was asked for). Giving a table
// another name, and dropping it with what it holds, are versions too. Making one is none: it goes ahead of writes that
// are not durable yet. Which tables there have to be is a matter of its own: has_right_tables().
//
// TracedPartition: a partition whose writes go into a VersionLog first. With a log in mode sync, and where durability
// is asked for, a write that completes is acknowledged. Keys that are written without a table go where they live.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>

#include "support/content_sum.h"
#include "support/kinds.h"

namespace cambium::test {

class VersionLog {
 public:
  VersionLog() : versions_(1) {}

  void put(const std::string& table, Bytes key, Bytes value) {
    del(table, key);
    const std::uint64_t hash = entry_hash(key, value);
    tables_[table].emplace(key.str(), hash);
    next_.add(in_table(table, hash));
  }
  void del(const std::string& table, Bytes key) {
    Entries& entries = tables_[table];
    const auto it = entries.find(key.str());
    if (it == entries.end()) return;
    next_.remove(in_table(table, it->second));
    entries.erase(it);
  }
  void rename_table(const std::string& from, const std::string& to) {
    Entries entries = drop_table(from);
    for (const auto& [key, hash] : entries) next_.add(in_table(to, hash));
    tables_[to] = std::move(entries);
  }
  std::map<std::string, std::uint64_t, std::less<>> drop_table(const std::string& name) {
    Entries entries = std::move(tables_[name]);
    for (const auto& [key, hash] : entries) next_.remove(in_table(name, hash));
    tables_.erase(name);
    return entries;
  }
  // What was put and deleted since the last call is one version: it shows wholly or not at all.
  void submit() { versions_.push_back(next_); }
  void acknowledge(std::uint64_t version) { acknowledged_ = std::max(acknowledged_, version); }
  void created() { created_ = true; }

  // Of a table that is being made, renamed or dropped a crash may leave either; afterwards not.
  enum class Presence : std::uint8_t { required, either };
  void expect_table(const std::string& name, Presence presence) { presence_[name] = presence; }
  void expect_no_table(const std::string& name) { presence_.erase(name); }
  bool has_right_tables(const std::set<std::string>& names) const {
    for (const auto& [name, presence] : presence_) {
      if (presence == Presence::required && !names.contains(name)) return false;
    }
    return std::all_of(names.begin(), names.end(),
                       [&](const std::string& name) { return name == "default" || presence_.contains(name); });
  }

  std::uint64_t submitted() const noexcept { return versions_.size() - 1; }
  std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  bool is_created() const noexcept { return created_; }  // open() has returned once: the file must open from then on

  // The version that has this content, if there is one a cut may leave behind.
  std::optional<std::uint64_t> find(const ContentSum& content) const { return find_from(acknowledged_, content); }
  // The same where more than a power cut has happened: any version there ever was.
  std::optional<std::uint64_t> find_any(const ContentSum& content) const { return find_from(0, content); }

 private:
  std::optional<std::uint64_t> find_from(std::uint64_t first, const ContentSum& content) const {
    for (std::uint64_t version = submitted() + 1; version > first; --version) {
      if (versions_[version - 1] == content) return version - 1;
    }
    return std::nullopt;
  }

  using Entries = std::map<std::string, std::uint64_t, std::less<>>;  // the hash of each
  std::map<std::string, Entries> tables_;
  std::map<std::string, Presence> presence_;
  ContentSum next_;
  std::vector<ContentSum> versions_;
  std::uint64_t acknowledged_ = 0;
  bool created_ = false;
};

class TracedPartition {
 public:
  explicit TracedPartition(VersionLog& log, Home home = Home::tree) : log_(log), home_(home) {}

  Task<Status> open(Core& core, const Options& options) {
    Partition db = co_await check(Partition::open(core, options));
    db_.emplace(std::move(db));
    names_.clear();
    for (const TableInfo& info : db_->tables()) names_[info.table.id()] = info.table.name();
    sync_ = options.wal == WalMode::sync;
    log_.created();
    tree_.emplace(db_->default_table());
    levels_.emplace(*tree_);
    if (home_ != Home::tree) levels_ = co_await check(table(kLevelsTable, {.kind = TableKind::levels}));
    co_return Status();
  }
  // The table of a key.
  const Table& home(Bytes key) const { return kind_of(home_, key) == TableKind::tree ? *tree_ : *levels_; }
  Op<void> put(Bytes key, Bytes value, WriteOptions options = {}) { return put(home(key), key, value, options); }
  Op<void> put(const Table& table, Bytes key, Bytes value, WriteOptions options = {}) {
    log_.put(name_of(table), key, value);
    log_.submit();
    return answered(db_->put(table, key, value, options), options);
  }
  Op<void> del(Bytes key, WriteOptions options = {}) { return del(home(key), key, options); }
  Op<void> del(const Table& table, Bytes key, WriteOptions options = {}) {
    log_.del(name_of(table), key);
    log_.submit();
    return answered(db_->del(table, key, options), options);
  }
  Op<void> write(const WriteBatch& batch, WriteOptions options = {}) {
    for (const WriteBatch::Write& write : batch.writes()) {
      if (write.remove) {
        log_.del(names_.at(write.table), batch.key_of(write));
      } else {
        log_.put(names_.at(write.table), batch.key_of(write), batch.value_of(write));
      }
    }
    log_.submit();
    return answered(db_->write(batch, options), options);
  }
  Task<Result<Table>> table(const std::string& name, TableOptions options = {}) {
    for (const auto& [id, known] : names_) {
      if (known == name) co_return co_await db_->table(name);
    }
    log_.expect_table(name, VersionLog::Presence::either);
    const Table made = co_await check(db_->table(name, options, TableMode::create));
    log_.expect_table(name, VersionLog::Presence::required);
    names_[made.id()] = name;
    co_return made;
  }
  // Everything that was written before is durable with it. Requires: every write has completed.
  Task<Status> rename_table(const std::string& from, const std::string& to) {
    const Table table = co_await check(db_->table(from, {}, TableMode::open));
    log_.rename_table(from, to);
    log_.submit();
    const std::uint64_t version = log_.submitted();
    log_.expect_table(from, VersionLog::Presence::either);
    log_.expect_table(to, VersionLog::Presence::either);
    co_await check(db_->rename_table(from, to));
    log_.acknowledge(version);
    log_.expect_no_table(from);
    log_.expect_table(to, VersionLog::Presence::required);
    names_[table.id()] = to;
    co_return Status();
  }
  // Likewise.
  Task<Status> drop_table(const std::string& name) {
    static_cast<void>(log_.drop_table(name));
    log_.submit();
    const std::uint64_t version = log_.submitted();
    log_.expect_table(name, VersionLog::Presence::either);
    co_await check(db_->drop_table(name));
    log_.acknowledge(version);
    log_.expect_no_table(name);
    std::erase_if(names_, [&](const auto& known) { return known.second == name; });
    co_return Status();
  }
  // Of a log that is written in batches. Requires: every write has completed.
  Task<Status> durable() {
    const std::uint64_t version = log_.submitted();
    co_await check(db_->durable(db_->last_sequence()));
    log_.acknowledge(version);
    co_return Status();
  }
  Task<Status> flush(FlushOptions options = {}) {
    const std::uint64_t version = log_.submitted();
    co_await check(db_->flush(options));
    log_.acknowledge(version);
    co_return Status();
  }
  Task<Status> settle() {
    co_await check(db_->settle());
    co_return Status();
  }
  Task<Status> compact() {
    co_await check(db_->compact());
    co_return Status();
  }
  Task<Status> close() {
    const std::uint64_t version = log_.submitted();
    co_await check(db_->close());
    log_.acknowledge(version);
    co_return Status();
  }
  Partition& db() noexcept { return *db_; }

 private:
  const std::string& name_of(const Table& table) const { return names_.at(table.id()); }
  Op<void> answered(Op<void> write, WriteOptions options) {
    return sync_ || options.durable ? acknowledged(std::move(write)) : std::move(write);
  }
  Op<void> acknowledged(Op<void> write) {
    const std::uint64_t version = log_.submitted();
    Op<void> own = std::move(write);
    Status done = co_await own;
    if (done) log_.acknowledge(version);
    co_return done;
  }

  VersionLog& log_;
  Home home_;
  std::optional<Partition> db_;
  std::optional<Table> tree_;
  std::optional<Table> levels_;
  std::map<TableId, std::string> names_;
  bool sync_ = false;
};

}  // namespace cambium::test
