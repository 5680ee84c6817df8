// SPDX-License-Identifier: MIT OR Apache-2.0
#include "support/model_driver.h"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cambium/partition.h>

#include "base/random.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/model_held.h"
#include "support/model_keys.h"

namespace cambium::test {
namespace {

constexpr std::uint64_t kTableChangeEvery = 400;  // operations, about

class ModelRun {
 public:
  ModelRun(Core& core, const ModelSetup& setup, ModelReport& report)
      : core_(core),
        setup_(setup),
        report_(report),
        random_(setup.tape.empty() ? Draws(setup.seed) : Draws(setup.tape)),
        keys_(keys_of(setup)),
        logs_(setup.seed * 31 + 7) {}

  Task<Status> run() {
    co_await check(open());
    while (report_.operations < setup_.operations && !random_.ended()) {
      ++report_.operations;
      add_effort();
      Status done = co_await step();
      if (!done) {
        co_return done.error().within(
            rt::str(random_.taped() ? "tape, seed " : "seed ", setup_.seed, ", operation ", report_.operations));
      }
    }
    co_await check(verify_all());
    Status closed = co_await close();
    co_return closed;
  }

 private:
  // ---- the model ----
  const Table& table() const { return tables_.handles[table_]; }
  std::shared_ptr<Model>& model() { return tables_.models[table_]; }
  Model& writable_model() {
    if (model().use_count() > 1) model() = std::make_shared<Model>(*model());
    return *model();
  }
  void draw_table() {
    if (setup_.tables > 1) table_ = random_.below(setup_.tables);
  }
  Expected expect(const std::string& key) { return expect(*model(), key); }
  static Expected expect(const Model& model, const std::string& key) {
    const auto it = model.find(key);
    return it == model.end() ? Expected() : Expected(it->second);
  }
  // Writes gather in one part of the key space for a while, so that leaves fill, empty and merge. What was drawn lately
  // is drawn again and again: one key is then in the active buffer, in frozen ones and in the table at once.
  const std::string& draw_key() {
    if (random_.below(4) == 0) return keys_[lately_[random_.below(lately_.size())]];
    const std::uint64_t width = keys_.size() / 8;
    const std::uint64_t first = report_.operations / 2000 * 7919 % (keys_.size() - width);
    const std::uint64_t index = random_.below(4) == 0 ? first + random_.below(width) : random_.below(keys_.size());
    lately_[lately_at_++ % lately_.size()] = index;
    return keys_[index];
  }
  Status compare(const Value& value, const Expected& expected, const std::string& key) {
    if (static_cast<bool>(value) != expected.has_value()) {
      return differs(expected ? "a value is missing" : "there is a value", key);
    }
    if (expected && !expected->is(value.bytes(), scratch_)) return differs("wrong value", key);
    return {};
  }

  static std::vector<std::string> keys_of(const ModelSetup& setup) {
    rt::Random random(setup.seed);
    return make_keys(setup.keys, random);
  }

  // ---- tables ----
  // Another name, or another table in its place. What snapshots hold they go on showing.
  Task<Status> change_table() {
    if (table_ == 0) co_return Status();
    ++report_.table_changes;
    std::string& name = names_[table_];
    std::string other = rt::str("table ", table_, " after change ", report_.table_changes);
    if (random_.below(2) == 0) {
      co_await check(db_->rename_table(name, other));
    } else {
      co_await check(db_->drop_table(name));
      const Status gone = co_await db_->put(table(), "key", "value");
      if (gone.code() != Errc::not_found) co_return Error(Errc::corruption, "a dropped table was written to");
      const Table made = co_await check(db_->table(other, table_options(setup_, table_), TableMode::create));
      tables_.handles[table_] = made;
      model() = std::make_shared<Model>();
    }
    name = std::move(other);
    co_return Status();
  }
  Task<Status> open_tables() {
    const bool first = names_.empty();
    for (std::size_t i = 0; first && i < setup_.tables; ++i) {
      names_.push_back(i == 0 ? "default" : rt::str("table ", i));
      tables_.models.push_back(std::make_shared<Model>());
    }
    tables_.handles.clear();
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const TableMode mode = first && i != 0 ? TableMode::create : TableMode::open;
      const Table opened = co_await check(db_->table(names_[i], table_options(setup_, i), mode));
      tables_.handles.push_back(opened);
    }
    co_return Status();
  }

  // ---- one random operation ----
  enum class Step : unsigned {
    put,
    del,
    write_batch,
    del_range,
    get,
    ask_get,
    collect_get,
    multi_get,
    scan_range,
    begin_scan,
    continue_scan,
    take_snapshot,
    drop_snapshot,
    read_snapshot,
    check_held_value,
    compact,
    flush,
    verify_all,
    reopen,
  };
  Step draw_step() {
    if (random_.taped()) return static_cast<Step>(random_.below(static_cast<unsigned>(Step::reopen) + 1));
    const std::uint64_t draw = random_.below(10'000);
    if (report_.operations % setup_.reopen_every == 0) return Step::reopen;
    if (report_.operations % setup_.check_every == 0) return Step::verify_all;
    // Where a flush is under way another one soon follows.
    if (random_.below(flushes_.empty() ? setup_.flush_every : setup_.flush_every / 10) == 0) return Step::flush;
    constexpr std::pair<std::uint64_t, Step> kSteps[] = {
        {3'400, Step::put},           {4'400, Step::del},           {4'600, Step::write_batch},
        {4'605, Step::del_range},     {6'600, Step::get},           {7'000, Step::ask_get},
        {7'400, Step::collect_get},   {7'700, Step::multi_get},     {8'000, Step::scan_range},
        {8'100, Step::begin_scan},    {9'000, Step::continue_scan}, {9'050, Step::take_snapshot},
        {9'095, Step::drop_snapshot}, {9'800, Step::read_snapshot}, {9'998, Step::check_held_value},
    };
    for (const auto& [end, step] : kSteps) {
      if (draw < end) return step;
    }
    return Step::compact;
  }
  Task<Status> step() {
    Status done;
    const Step drawn = draw_step();
    draw_table();
    if (setup_.tables > 1 && random_.below(kTableChangeEvery) == 0) {
      done = co_await change_table();
      if (!done) co_return done;
    }
    switch (drawn) {
      case Step::put:
        done = co_await put();
        break;
      case Step::del:
        done = co_await del();
        break;
      case Step::write_batch:
        done = co_await write_batch();
        break;
      case Step::del_range:
        done = co_await del_range();
        break;
      case Step::get:
        done = co_await get();
        break;
      case Step::ask_get:
        done = co_await ask_get();
        break;
      case Step::collect_get:
        done = co_await collect_get();
        break;
      case Step::multi_get:
        done = co_await multi_get();
        break;
      case Step::scan_range:
        done = co_await scan_range(nullptr);
        break;
      case Step::begin_scan:
        done = begin_scan();
        break;
      case Step::continue_scan:
        done = co_await continue_scan();
        break;
      case Step::take_snapshot:
        take_snapshot();
        break;
      case Step::drop_snapshot:
        drop_snapshot();
        break;
      case Step::read_snapshot:
        done = co_await read_snapshot();
        break;
      case Step::check_held_value:
        done = check_held_value();
        break;
      case Step::compact:
        done = co_await compact();
        break;
      case Step::flush:
        done = co_await flush();
        break;
      case Step::verify_all:
        done = co_await verify_all();
        break;
      case Step::reopen:
        done = co_await reopen();
        break;
    }
    co_return done;
  }

  // ---- writes ----
  Task<Status> put() {
    const std::string& key = draw_key();
    const ValueSpec value = draw_value(random_);
    value.write_to(scratch_);
    writable_model()[key] = value;
    Status done = co_await db_->put(table(), key, scratch_);
    co_return done;
  }
  Task<Status> del() {
    const std::string& key = draw_key();
    writable_model().erase(key);
    Status done = co_await db_->del(table(), key);
    co_return done;
  }
  Task<Status> write_batch() {
    batch_.clear();
    const std::uint64_t count = 1 + random_.below(12);
    for (std::uint64_t i = 0; i < count; ++i) {
      draw_table();
      const std::string& key = draw_key();
      if (random_.below(3) == 0) {
        batch_.del(table(), key);
        writable_model().erase(key);
        continue;
      }
      ValueSpec value = draw_value(random_);
      value.bytes = std::min<std::uint32_t>(value.bytes, 3000);
      value.write_to(scratch_);
      batch_.put(table(), key, scratch_);
      writable_model()[key] = value;
    }
    Status done = co_await db_->write(batch_);
    co_return done;
  }
  // Neighbours go, so that leaves become empty and branches thin.
  Task<Status> del_range() {
    const std::uint64_t first = random_.below(keys_.size());
    const std::uint64_t end = std::min<std::uint64_t>(first + random_.below(keys_.size() / 3), keys_.size());
    for (std::uint64_t i = first; i < end; ++i) {
      writable_model().erase(keys_[i]);
      co_await check(db_->del(table(), keys_[i]));
    }
    co_return Status();
  }
  // Half of the flushes are asked for and not waited for: what follows meets buffers that are being flushed, up to as
  // many of them as there are.
  Task<Status> flush() {
    ++report_.flushes;
    if (flushes_.size() == kFlushesMax) {
      co_await check(collect_flushes());
    }
    flushes_.push_back(db_->flush({.trim = random_.below(4) == 0}));
    if (random_.below(2) == 0) co_return Status();
    Status done = co_await collect_flushes();
    co_return done;
  }
  Task<Status> collect_flushes() {
    while (!flushes_.empty()) {
      Op<void> first = std::move(flushes_.front());
      flushes_.pop_front();
      co_await check(std::move(first));
    }
    co_return Status();
  }
  Task<Status> compact() {
    Status done = co_await db_->compact();
    co_return done;
  }

  // ---- point reads ----
  Task<Status> get() {
    const std::string& key = draw_key();
    const Expected expected = expect(key);
    Value value = co_await check(db_->get(table(), key));
    Status same = compare(value, expected, key);
    if (value && random_.below(20) == 0) {
      values_.push_back({std::move(value), *expected});
      if (values_.size() > setup_.held_max) values_.pop_front();
    }
    co_return same;
  }
  Status check_held_value() {
    for (const HeldValue& held : values_) {
      if (!held.spec.is(held.value.bytes(), scratch_)) return Error(Errc::corruption, "a held value has changed");
    }
    if (!values_.empty() && random_.below(2) == 0) values_.pop_front();
    return {};
  }
  // Asked now, collected later: the answer is that of now.
  Task<Status> ask_get() {
    if (gets_.size() == setup_.held_max) {
      co_await check(collect_get());
    }
    const std::string& key = draw_key();
    gets_.push_back({db_->get(table(), key), key, expect(key)});
    co_return Status();
  }
  Task<Status> collect_get() {
    if (gets_.empty()) co_return Status();
    std::swap(gets_[random_.below(gets_.size())], gets_.back());
    PendingGet pending = std::move(gets_.back());
    gets_.pop_back();
    Value value = co_await check(std::move(pending.get));
    co_return compare(value, pending.expected, pending.key);
  }
  Task<Status> multi_get() {
    std::vector<Bytes> keys(1 + random_.below(40));
    for (Bytes& key : keys) key = draw_key();
    std::vector<Value> values(keys.size());
    ReadOptions options;
    const ModelTables* tables = &tables_;
    if (!snapshots_.empty() && random_.below(3) == 0) {
      options.snapshot = &snapshots_.back().snapshot;
      tables = &snapshots_.back().tables;
    }
    co_await check(db_->multi_get(tables->handles[table_], keys, values, options));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Status same = compare(values[i], expect(*tables->models[table_], keys[i].str()), keys[i].str());
      if (!same) co_return same.error().within("multi_get");
    }
    co_return Status();
  }

  // ---- scans ----
  Range draw_range() {
    Range range;
    range.reverse = random_.below(2) == 0;
    if (random_.below(4) == 0) {
      const std::string& key = draw_key();
      range.prefix = key.substr(0, 1 + random_.below(std::min<std::size_t>(key.size(), 8)));
    } else {
      if (random_.below(4) != 0) range.from = draw_bound();
      if (random_.below(4) != 0) range.to = draw_bound();
      if (!range.to.empty() && range.to < range.from && random_.below(8) != 0) std::swap(range.from, range.to);
      range.from_exclusive = random_.below(2) == 0;
      range.to_inclusive = random_.below(2) == 0;
    }
    if (random_.below(2) == 0) range.limit = 1 + random_.below(60);
    return range;
  }
  std::string draw_bound() {
    std::string bound = draw_key();
    if (random_.below(3) == 0) bound.resize(1 + random_.below(bound.size()));  // between keys
    return bound;
  }
  // A null snapshot: as of now.
  HeldScan make_scan(const HeldSnapshot* snapshot) {
    const Range range = draw_range();
    ScanOptions options;
    options.reverse = range.reverse;
    options.limit = range.limit;
    options.snapshot = snapshot != nullptr ? &snapshot->snapshot : nullptr;
    options.readahead_pages = random_.below(2) == 0 ? 4 : 0;
    const ModelTables& tables = snapshot != nullptr ? snapshot->tables : tables_;
    const SharedModel model = tables.models[table_];
    return {db_->scan(tables.handles[table_], range.range(), options), model, range.expected(*model)};
  }
  Status begin_scan() {
    if (scans_.size() == setup_.held_max) scans_.erase(scans_.begin());
    const HeldSnapshot* snapshot = !snapshots_.empty() && random_.below(2) == 0 ? &snapshots_.front() : nullptr;
    scans_.push_back(make_scan(snapshot));
    return {};
  }
  Status compare(const Entry& entry, HeldScan& held) {
    ++report_.entries_scanned;
    if (held.at == held.expected.size()) return differs("a scan shows more than there is,", entry.key.str());
    const auto& [key, value] = *held.expected[held.at++];
    if (entry.key != Bytes(key))
      return differs(rt::str("a scan shows another key at entry ", held.at, " instead"), key);
    if (!value.is(entry.value, scratch_)) return differs("a scan shows the wrong value", key);
    return {};
  }
  Task<Status> advance(HeldScan& held) {
    if (random_.below(2) == 0) {
      const auto page = co_await check(held.scan.next_page());
      for (const Entry& entry : page) {
        co_await check(compare(entry, held));
      }
      held.ended = page.empty();
    } else {
      for (std::uint64_t left = 1 + random_.below(30); left != 0 && !held.ended; --left) {
        const Entry* entry = co_await check(held.scan.next());
        held.ended = entry == nullptr;
        if (entry == nullptr) break;
        co_await check(compare(*entry, held));
      }
    }
    if (held.ended && held.at != held.expected.size()) {
      co_return differs(rt::str("a scan ended after ", held.at, " of ", held.expected.size(), " entries, before that"),
                        held.expected[held.at]->first);
    }
    co_return Status();
  }
  Task<Status> scan_range(const HeldSnapshot* snapshot) {
    HeldScan held = make_scan(snapshot);
    while (!held.ended) {
      co_await check(advance(held));
    }
    co_return Status();
  }
  Task<Status> continue_scan() {
    if (scans_.empty()) co_return Status();
    const std::size_t at = random_.below(scans_.size());
    co_await check(advance(scans_[at]));
    if (scans_[at].ended) scans_.erase(scans_.begin() + static_cast<std::ptrdiff_t>(at));
    co_return Status();
  }

  // ---- snapshots ----
  void take_snapshot() {
    if (snapshots_.size() == kSnapshotsMax) drop_snapshot();
    snapshots_.push_back({db_->snapshot(), tables_});
  }
  void drop_snapshot() {
    if (snapshots_.empty()) return;
    snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(random_.below(snapshots_.size())));
  }
  Task<Status> read_snapshot() {
    if (snapshots_.empty()) co_return Status();
    ++report_.snapshot_reads;
    const HeldSnapshot& held = snapshots_[random_.below(snapshots_.size())];
    if (random_.below(8) == 0) {
      Status same = co_await scan_range(&held);
      if (!same) co_return same.error().within("snapshot");
      co_return Status();
    }
    const std::string& key = draw_key();
    Value value = co_await check(db_->get(held.tables.handles[table_], key, {.snapshot = &held.snapshot}));
    const Status same = compare(value, expect(*held.tables.models[table_], key), key);
    if (!same) co_return same.error().within("snapshot");
    co_return Status();
  }

  // ---- the whole ----
  Task<Status> compare_all(const HeldSnapshot* snapshot) {
    Range everything;
    everything.reverse = random_.below(2) == 0;
    const ModelTables& tables = snapshot != nullptr ? snapshot->tables : tables_;
    ScanOptions options;
    options.reverse = everything.reverse;
    options.snapshot = snapshot != nullptr ? &snapshot->snapshot : nullptr;
    for (std::size_t i = 0; i < setup_.tables; ++i) {
      const SharedModel model = tables.models[i];
      HeldScan held{db_->scan(tables.handles[i], {}, options), model, everything.expected(*model)};
      while (!held.ended) {
        co_await check(advance(held));
      }
    }
    co_return Status();
  }
  Task<Status> verify_all() {
    ++report_.checks;
    co_await check(collect_flushes());
    co_await check(db_->flush());
    const CheckReport found = co_await check(db_->check());
    std::uint64_t entries = 0;
    for (const auto& model : tables_.models) entries += model->size();
    // In levels tombstones count, and each version of a key.
    const bool counted = setup_.levels ? found.entries >= entries : found.entries == entries;
    if (!counted || found.tables != setup_.tables) {
      co_return Error(Errc::corruption, rt::str("check() counts ", found.entries, " entries of ", found.tables,
                                                " tables, the model ", entries, " of ", setup_.tables));
    }
    if (found.superblock_damaged) co_return Error(Errc::corruption, "check() reports a damaged superblock");
    const Stats stats = db_->stats();
    if (stats.snapshots != snapshots_.size()) co_return Error(Errc::corruption, "stats count the snapshots wrongly");
    co_await check(compare_all(nullptr));
    for (const HeldSnapshot& held : snapshots_) {
      co_await check(compare_all(&held));
    }
    co_return Status();
  }

  Task<Status> open() {
    Options options = setup_.options;
    if (setup_.draw_log) {
      constexpr WalMode kModes[] = {WalMode::none, WalMode::batched, WalMode::sync};
      constexpr std::uint64_t kBytes[] = {128 * KiB, 1 * MiB, 64 * MiB};
      options.wal = kModes[logs_.below(std::size(kModes))];
      options.wal_bytes_max = kBytes[logs_.below(std::size(kBytes))];
      options.wal_interval_ms = 1 + static_cast<std::uint32_t>(logs_.below(20));
    }
    logged_ = options.wal != WalMode::none;
    Partition db = co_await check(Partition::open(core_, options));
    db_.emplace(std::move(db));
    Status ready = co_await open_tables();
    co_return ready;
  }
  // Drops everything that is held; nothing of it may be left in the partition.
  Task<Status> let_go() {
    co_await check(collect_flushes());
    while (!gets_.empty()) {
      co_await check(collect_get());
    }
    co_await check(check_held_value());
    values_.clear();
    scans_.clear();
    snapshots_.clear();
    co_return Status();
  }
  Task<Status> close() {
    co_await check(let_go());
    co_await check(db_->flush());
    co_await check(db_->settle());
    // What was dropped is taken away in the background, and pins a page at a time.
    for (int i = 0; i < 10'000 && db_->stats().cache_pages_pinned != 0; ++i) co_await core_.sleep_ns(1'000'000);
    const Stats stats = db_->stats();
    if (stats.snapshots != 0) co_return Error(Errc::corruption, "a dropped snapshot is still counted");
    if (stats.cache_pages_pinned != 0) {
      co_return Error(Errc::corruption, rt::str(stats.cache_pages_pinned, " pages are pinned though nothing is held"));
    }
    if (stats.buffer_entries != 0) co_return Error(Errc::corruption, "a flush left entries in the write buffers");
    co_await check(db_->close());
    db_.reset();
    co_return Status();
  }
  Task<Status> reopen() {
    ++report_.reopens;
    if (logged_ && logs_.below(2) == 0) {
      // As if the process had ended: what is in the buffers comes back from the log.
      ++report_.recoveries;
      co_await check(let_go());
      db_.reset();
    } else {
      co_await check(close());
    }
    co_await check(open());
    Status same = co_await verify_all();
    co_return same;
  }

  Core& core_;
  const ModelSetup& setup_;
  ModelReport& report_;
  Draws random_;
  const std::vector<std::string> keys_;
  std::array<std::uint64_t, 32> lately_ = {};  // indexes into keys_
  std::uint64_t lately_at_ = 0;
  ModelTables tables_;
  std::vector<std::string> names_;  // of tables_
  std::size_t table_ = 0;           // of the operation at hand
  std::optional<Partition> db_;
  rt::Random logs_;
  bool logged_ = false;
  std::vector<HeldSnapshot> snapshots_;
  std::vector<HeldScan> scans_;
  std::deque<HeldValue> values_;
  std::vector<PendingGet> gets_;
  std::deque<Op<void>> flushes_;
  WriteBatch batch_;
  std::string scratch_;
};

}  // namespace

Task<Status> run_model(Core& core, const ModelSetup& setup, ModelReport& report) {
  ModelRun run(core, setup, report);
  Status done = co_await run.run();
  co_return done;
}

}  // namespace cambium::test
