// SPDX-License-Identifier: MIT OR Apache-2.0
// LMDB as its experts run it: one read transaction kept for a whole read phase, large write transactions,
// no syncs during a load, MDB_APPEND for sorted input.
//
// LMDB reads through a memory map, so its memory is the page cache: it cannot be given a budget, and its
// commits under MDB_NOSYNC promise nothing on power loss until sync(). Both are said in settings().
//
// Invariants
//   1. At most one of the write transaction and the read transaction is open.
//   2. The read transaction and the cursor are renewed after a commit, not per operation.
#include <lmdb.h>

#include <filesystem>

#include "harness/batch_getter.h"
#include "harness/fail.h"
#include "peers/engines.h"

namespace cambium::bench {
namespace {

constexpr std::size_t kMapBytes = std::size_t{64} << 30;  // address space only; the file grows as it is used
// Of 100 k and 500 k puts per transaction, with and without MDB_WRITEMAP, this took the least CPU per put.
constexpr std::uint64_t kPutsPerTransaction = 500'000;
constexpr unsigned kEnvironmentFlags = MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT | MDB_NOTLS;

void check(int result, const char* what) {
  if (result != MDB_SUCCESS) fail(std::string("lmdb: ") + what + ": " + mdb_strerror(result));
}

MDB_val value_of(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view view_of(const MDB_val& value) { return {static_cast<const char*>(value.mv_data), value.mv_size}; }

class LmdbAdapter final : public KvAdapter {
 public:
  ~LmdbAdapter() override { close(); }

  std::string name() const override {
    int major = 0, minor = 0, patch = 0;
    mdb_version(&major, &minor, &patch);
    return "lmdb " + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }

  std::string settings() const override {
    return "MDB_NOSYNC|MDB_WRITEMAP|MDB_NOMEMINIT, " + std::to_string(kPutsPerTransaction) +
           " puts per transaction, one read transaction per read phase, memory = page cache (no budget possible)";
  }

  void open(const std::string& dir, std::uint64_t) override {
    dir_ = dir;
    check(mdb_env_create(&environment_), "create");
    check(mdb_env_set_mapsize(environment_, kMapBytes), "map size");
    check(mdb_env_open(environment_, dir.c_str(), kEnvironmentFlags, 0644), "open");
    begin_write();
    check(mdb_dbi_open(write_, nullptr, 0, &table_), "open the table");
    commit();
  }

  void close() override {
    if (environment_ == nullptr) return;
    commit();
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
    if (read_ != nullptr) mdb_txn_abort(read_);
    mdb_env_close(environment_);
    cursor_ = nullptr;
    read_ = nullptr;
    read_active_ = false;
    environment_ = nullptr;
  }

  void put(std::string_view key, std::string_view value) override {
    if (write_ == nullptr) begin_write();
    MDB_val lmdb_key = value_of(key);
    MDB_val lmdb_value = value_of(value);
    check(mdb_put(write_, table_, &lmdb_key, &lmdb_value, 0), "put");
    if (++puts_in_transaction_ == kPutsPerTransaction) commit();
  }

  void commit() override {
    if (write_ == nullptr) return;
    check(mdb_txn_commit(write_), "commit");
    write_ = nullptr;
  }

  void sync() override {
    commit();
    check(mdb_env_sync(environment_, 1), "sync");
  }

  void bulk_load(const std::string&, EntrySource next) override {
    begin_write();
    std::string_view key, value;
    while (next(key, value)) {
      MDB_val lmdb_key = value_of(key);
      MDB_val lmdb_value = value_of(value);
      check(mdb_put(write_, table_, &lmdb_key, &lmdb_value, MDB_APPEND), "append");
      if (++puts_in_transaction_ == kPutsPerTransaction) {
        commit();
        begin_write();
      }
    }
    sync();
  }

  bool get(std::string_view key, ValueFn use) override {
    ensure_read();
    MDB_val lmdb_key = value_of(key);
    MDB_val lmdb_value{};
    const int result = mdb_get(read_, table_, &lmdb_key, &lmdb_value);
    if (result == MDB_NOTFOUND) return false;
    check(result, "get");
    use(view_of(lmdb_value));
    return true;
  }

  // LMDB has no batched read: its user loops, and so do we.
  std::size_t multi_get(std::span<const std::string_view> keys, IndexedValueFn use) override {
    std::size_t found = 0;
    for (std::size_t index = 0; index < keys.size(); ++index) {
      auto use_one = [&](std::string_view value) { use(index, value); };
      if (get(keys[index], use_one)) ++found;
    }
    return found;
  }

  std::uint64_t scan(Direction direction, EntryFn use) override {
    ensure_read();
    const MDB_cursor_op first = direction == Direction::forward ? MDB_FIRST : MDB_LAST;
    const MDB_cursor_op step = direction == Direction::forward ? MDB_NEXT : MDB_PREV;
    MDB_val key{};
    MDB_val value{};
    std::uint64_t count = 0;
    int result = mdb_cursor_get(cursor_, &key, &value, first);
    for (; result == MDB_SUCCESS; result = mdb_cursor_get(cursor_, &key, &value, step)) {
      use(view_of(key), view_of(value));
      ++count;
    }
    if (result != MDB_NOTFOUND) check(result, "scan");
    return count;
  }

  AsyncGetter* async_getter() override { return &batch_getter_; }

  std::vector<std::string> data_files() const override { return {dir_ + "/data.mdb"}; }

 private:
  void begin_write() {
    if (read_ != nullptr && read_active_) {
      mdb_txn_reset(read_);
      read_active_ = false;
    }
    check(mdb_txn_begin(environment_, nullptr, 0, &write_), "begin");
    puts_in_transaction_ = 0;
  }

  void ensure_read() {
    if (read_active_) return;
    commit();
    if (read_ == nullptr) {
      check(mdb_txn_begin(environment_, nullptr, MDB_RDONLY, &read_), "begin reading");
      check(mdb_cursor_open(read_, table_, &cursor_), "open a cursor");
    } else {
      check(mdb_txn_renew(read_), "renew");
      check(mdb_cursor_renew(read_, cursor_), "renew the cursor");
    }
    read_active_ = true;
  }

  std::string dir_;
  MDB_env* environment_ = nullptr;
  MDB_txn* write_ = nullptr;
  MDB_txn* read_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  MDB_dbi table_ = 0;
  bool read_active_ = false;
  std::uint64_t puts_in_transaction_ = 0;
  BatchGetter batch_getter_{*this};
};

}  // namespace

std::unique_ptr<KvAdapter> make_lmdb_adapter() { return std::make_unique<LmdbAdapter>(); }

}  // namespace cambium::bench
