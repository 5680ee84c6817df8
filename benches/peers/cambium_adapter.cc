// SPDX-License-Identifier: MIT OR Apache-2.0
// Cambium as a program on one core embeds it: operations that are ready at once are plain calls, the others are
// awaited by a task on the core's loop.
//
// Invariants
//   1. One thread, one core, one partition in `<dir>/data.cambium`; memory_bytes is the partition's whole budget.
#include <cambium/cambium.h>

#include <array>

#include "harness/fail.h"
#include "peers/engines.h"

namespace cambium::bench {
namespace {

void check_status(const Status& status) {
  if (!status) fail("cambium: " + std::string(status.error().message()));
}

template <class T>
Task<Result<T>> collect(Op<T>& op) {
  Result<T> result = co_await op;
  co_return result;
}

// What an operation yields; drives the loop only when it is not ready.
template <class T>
Result<T> finish(Core& core, Op<T> op) {
  if (op.ready()) return std::move(op.result());
  return core.run(collect(op));
}

template <class T>
T value_of(Result<T> result) {
  if (!result) fail("cambium: " + std::string(result.error().message()));
  return std::move(*result);
}

Task<Status> load_sorted(Partition& db, KvAdapter::EntrySource& next) {
  BulkLoad load = co_await check(db.bulk_load());
  std::string_view key;
  std::string_view value;
  while (next(key, value)) {
    co_await check(load.add(key, value));
  }
  co_await check(load.finish());
  co_return Status();
}

Task<Result<std::uint64_t>> scan_all(Partition& db, bool reverse, KvAdapter::EntryFn& use) {
  ScanOptions options;
  options.reverse = reverse;
  Scan scan = db.scan({}, options);
  std::uint64_t count = 0;
  for (;;) {
    std::span<const Entry> page = co_await check(scan.next_page());
    if (page.empty()) break;
    count += page.size();
    for (const Entry& entry : page) use(entry.key.view(), entry.value.view());
  }
  co_return count;
}

// Gets with many in flight: a coroutine for each slot.
class CambiumGetter final : public AsyncGetter {
 public:
  CambiumGetter(Core& core, Partition& db) : core_(core), db_(db) {}

  void run(GetClients& clients, unsigned slot_count) override { core_.run(serve_all(*this, clients, slot_count)); }

  bool set_spin_us(unsigned spin_us) override {
    core_.set_spin_us(spin_us);
    return true;
  }

 private:
  static Task<void> serve(Partition& db, GetClients& clients, unsigned slot, unsigned& left, Event& done) {
    std::string_view key;
    while (clients.next(slot, key)) {
      Result<Value> value = co_await db.get(key);
      if (!value) fail("cambium: " + std::string(value.error().message()));
      clients.on_get(slot, static_cast<bool>(*value), value->view());
    }
    if (--left == 0) done.set();
  }
  static Task<void> serve_all(CambiumGetter& self, GetClients& clients, unsigned slot_count) {
    unsigned left = slot_count;
    Event done;
    for (unsigned slot = 0; slot < slot_count; ++slot) self.core_.spawn(serve(self.db_, clients, slot, left, done));
    co_await done.wait();
  }

  Core& core_;
  Partition& db_;
};

// Durable puts with many in flight: a coroutine for each slot.
class CambiumPutter final : public DurablePutter {
 public:
  CambiumPutter(Core& core, Partition& db) : core_(core), db_(db) {}

  void run(PutClients& clients, unsigned slot_count) override { core_.run(put_all(*this, clients, slot_count)); }

  bool set_spin_us(unsigned spin_us) override {
    core_.set_spin_us(spin_us);
    return true;
  }

 private:
  static Task<void> put(Partition& db, PutClients& clients, unsigned slot, unsigned& left, Event& done) {
    std::string_view key;
    std::string_view value;
    while (clients.next(slot, key, value)) {
      const Status status = co_await db.put(key, value);
      check_status(status);
      clients.on_durable(slot);
    }
    if (--left == 0) done.set();
  }
  static Task<void> put_all(CambiumPutter& self, PutClients& clients, unsigned slot_count) {
    unsigned left = slot_count;
    Event done;
    for (unsigned slot = 0; slot < slot_count; ++slot) self.core_.spawn(put(self.db_, clients, slot, left, done));
    co_await done.wait();
  }

  Core& core_;
  Partition& db_;
};

class CambiumAdapter final : public KvAdapter {
 public:
  ~CambiumAdapter() override { close(); }

  std::string name() const override { return std::string("cambium ") + version(); }
  std::string settings() const override {
    return "one core, direct I/O, memory " + std::to_string(memory_bytes_ >> 20) +
           " MiB for everything, CRC-32C verified on every page read, no compression" + log_text();
  }

  void configure(LogMode log, const std::string& own_settings) override {
    constexpr std::array<const char*, 3> kModes{"wal=none", "wal=batched", "wal=sync"};
    own_settings_ = kModes[static_cast<std::size_t>(log)];
    if (!own_settings.empty()) own_settings_ += ";" + own_settings;
  }

  void open(const std::string& dir, std::uint64_t memory_bytes) override {
    path_ = dir + "/data.cambium";
    memory_bytes_ = memory_bytes;
    core_ = value_of(Core::create());
    Options options = value_of(Options::parse(own_settings_));
    options.path = path_;
    options.memory_bytes = memory_bytes;
    db_.emplace(value_of(finish(*core_, Partition::open(*core_, options))));
    getter_.emplace(*core_, *db_);
    putter_.emplace(*core_, *db_);
  }

  void close() override {
    if (!db_) return;
    getter_.reset();
    putter_.reset();
    check_status(finish(*core_, db_->close()));
    db_.reset();
    core_.reset();
  }

  void put(std::string_view key, std::string_view value) override {
    check_status(finish(*core_, db_->put(key, value)));
  }
  void commit() override {}  // a put is visible when it returns
  void sync() override {
    FlushOptions options;
    options.trim = false;  // giving space back is not part of being durable
    check_status(finish(*core_, db_->flush(options)));
  }

  void sync_log() override { check_status(finish(*core_, db_->durable(db_->last_sequence()))); }

  void bulk_load(const std::string&, EntrySource next) override { check_status(core_->run(load_sorted(*db_, next))); }

  bool get(std::string_view key, ValueFn use) override {
    Op<Value> op = db_->get(key);
    if (!op.ready()) {
      const Value value = value_of(core_->run(collect(op)));
      if (value) use(value.view());
      return static_cast<bool>(value);
    }
    Result<Value>& result = op.result();
    if (!result) fail("cambium: " + std::string(result.error().message()));
    if (*result) use(result->view());
    return static_cast<bool>(*result);
  }

  std::size_t multi_get(std::span<const std::string_view> keys, IndexedValueFn use) override {
    constexpr std::size_t kMost = 64;
    if (keys.size() > kMost) fail("cambium: a batch of more than 64 gets");
    std::array<Bytes, kMost> views;
    std::array<Value, kMost> values;
    for (std::size_t i = 0; i < keys.size(); ++i) views[i] = keys[i];
    check_status(
        finish(*core_, db_->multi_get(std::span(views).first(keys.size()), std::span(values).first(keys.size()))));
    std::size_t found = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (!values[i]) continue;
      ++found;
      use(i, values[i].view());
    }
    return found;
  }

  std::uint64_t scan(Direction direction, EntryFn use) override {
    return value_of(core_->run(scan_all(*db_, direction == Direction::reverse, use)));
  }

  AsyncGetter* async_getter() override { return &*getter_; }
  DurablePutter* durable_putter() override { return &*putter_; }
  std::vector<std::string> data_files() const override { return {path_}; }

  std::vector<Counter> counters() const override {
    std::vector<Counter> counters;
    const Stats stats = db_->stats();
    for (const StatDescription& description : describe_stats()) {
      counters.push_back({std::string(description.name), stats.*description.field});
    }
    return counters;
  }

 private:
  std::string log_text() const { return own_settings_.empty() ? "" : "; " + own_settings_; }

  std::string path_;
  std::string own_settings_;
  std::uint64_t memory_bytes_ = 0;
  std::unique_ptr<Core> core_;
  std::optional<Partition> db_;
  std::optional<CambiumGetter> getter_;
  std::optional<CambiumPutter> putter_;
};

}  // namespace

std::unique_ptr<KvAdapter> make_cambium_adapter() { return std::make_unique<CambiumAdapter>(); }

}  // namespace cambium::bench
