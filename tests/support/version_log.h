// SPDX-License-Identifier: MIT OR Apache-2.0
// VersionLog: what a partition may hold after a power cut: its content after every write of a workload, and the bounds.
//
// Version n is the content after the first n writes, a batch being one. After a cut the file has to show one version
// from acknowledged() (the last flush that returned) to submitted() (the last write that was asked for).
//
// TracedPartition: a partition whose writes go into a VersionLog first. With a log in mode sync, and where durability
// is asked for, a write that completes is acknowledged.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>

#include "support/content_sum.h"

namespace cambium::test {

class VersionLog {
 public:
  VersionLog() : versions_(1) {}

  void put(Bytes key, Bytes value) {
    del(key);
    const std::uint64_t hash = entry_hash(key, value);
    entries_.emplace(key.str(), hash);
    next_.add(hash);
  }
  void del(Bytes key) {
    const auto it = entries_.find(key.str());
    if (it == entries_.end()) return;
    next_.remove(it->second);
    entries_.erase(it);
  }
  // What was put and deleted since the last call is one version: it shows wholly or not at all.
  void submit() { versions_.push_back(next_); }
  void acknowledge(std::uint64_t version) { acknowledged_ = std::max(acknowledged_, version); }
  void created() { created_ = true; }

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

  std::map<std::string, std::uint64_t, std::less<>> entries_;
  ContentSum next_;
  std::vector<ContentSum> versions_;
  std::uint64_t acknowledged_ = 0;
  bool created_ = false;
};

class TracedPartition {
 public:
  explicit TracedPartition(VersionLog& log) : log_(log) {}

  Task<Status> open(Core& core, const Options& options) {
    Partition db = co_await check(Partition::open(core, options));
    db_.emplace(std::move(db));
    sync_ = options.wal == WalMode::sync;
    log_.created();
    co_return Status();
  }
  Op<void> put(Bytes key, Bytes value, WriteOptions options = {}) {
    log_.put(key, value);
    log_.submit();
    return answered(db_->put(key, value, options), options);
  }
  Op<void> del(Bytes key, WriteOptions options = {}) {
    log_.del(key);
    log_.submit();
    return answered(db_->del(key, options), options);
  }
  Op<void> write(const WriteBatch& batch, WriteOptions options = {}) {
    for (const WriteBatch::Write& write : batch.writes()) {
      if (write.remove) {
        log_.del(batch.key_of(write));
      } else {
        log_.put(batch.key_of(write), batch.value_of(write));
      }
    }
    log_.submit();
    return answered(db_->write(batch, options), options);
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
  Task<Status> close() {
    const std::uint64_t version = log_.submitted();
    co_await check(db_->close());
    log_.acknowledge(version);
    co_return Status();
  }
  Partition& db() noexcept { return *db_; }

 private:
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
  std::optional<Partition> db_;
  bool sync_ = false;
};

}  // namespace cambium::test
