// SPDX-License-Identifier: MIT OR Apache-2.0
// Many coroutines at a few keys: what each of them was told about a key fits one order of all that was done to it.
//
// Puts, deletes, batches, gets, multi_gets, scans, reads through snapshots and reads that are cancelled half way, while
// flushes and compactions of a tree or a level store go on, on a simulated device whose completions come in any order,
// with every mode of the log. Values are long enough that writers meet full buffers. CAMBIUM_MODEL_OPERATIONS says how
// many operations.
#include <catch2/catch.hpp>

#include <malloc.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/semaphore.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/figures.h"
#include "support/kinds.h"
#include "support/linear_history.h"
#include "support/seed.h"

namespace cambium::test {
namespace {

constexpr std::size_t kKeys = 6;
constexpr std::size_t kOthers = 60;  // keys behind each of them, never written again: the cache cannot hold them all
constexpr unsigned kWorkers = 12;
constexpr unsigned kScansMax = 3;  // at once
constexpr unsigned kOperationsEach = 60;

// What the coroutines of one run share.
struct Crowd {
  Crowd(Core& its_core, Partition& its_db, const Table& its_table, std::uint64_t seed)
      : core(its_core), db(its_db), table(its_table), random(seed) {}

  std::uint64_t moment() noexcept { return ++clock; }
  std::string next_value() {
    std::string text = rt::str(++values, " ");
    const std::size_t bytes = text.size();
    text.resize(bytes + (random.below(6) == 0 ? 1500 + random.below(9000) : random.below(1200)),
                static_cast<char>('a' + values % 26));
    return text;
  }
  template <class Outcome>
  void fail(const Outcome& outcome) {
    if (!outcome && failure) failure = outcome.error();
  }

  Core& core;
  Partition& db;
  const Table& table;
  rt::Random random;
  std::array<LinearHistory, kKeys> histories;
  std::uint64_t clock = 0;
  std::uint64_t values = 0;
  std::uint64_t cancelled = 0;
  unsigned working = 0;
  Semaphore scans{kScansMax};
  Status failure;
};

std::string key_of(std::size_t i) { return rt::str("key ", i); }
std::string filling() { return std::string(300, 'f'); }

// The number that a value begins with; kAbsent where there is none. A value whose rest is not its own is told.
std::uint64_t number_of(Crowd& crowd, bool present, Bytes value) {
  if (!present) return LinearHistory::kAbsent;
  const std::string text = value.str();
  const std::uint64_t number = std::strtoull(text.c_str(), nullptr, 10);
  const std::size_t filled = text.find(' ') + 1;
  const bool whole = number != 0 && filled != 0 &&
                     text.find_first_not_of(static_cast<char>('a' + number % 26), filled) == std::string::npos;
  if (!whole) crowd.fail(Status(Error(Errc::corruption, rt::str("a value that nobody wrote: ", text.substr(0, 40)))));
  return number;
}

// ---- the operations: each notes when it was asked for, when it was answered, and what it was told -------------------

Task<void> put_one(Crowd& crowd, std::size_t key) {
  const std::string value = crowd.next_value();
  const std::uint64_t number = crowd.values;
  const bool durable = crowd.random.below(5) == 0;
  const std::uint64_t asked = crowd.moment();
  const Status done = co_await crowd.db.put(crowd.table, key_of(key), value, {.durable = durable});
  crowd.fail(done);
  crowd.histories[key].wrote(number, asked, crowd.moment());
}

Task<void> del_one(Crowd& crowd, std::size_t key) {
  const std::uint64_t asked = crowd.moment();
  const Status done = co_await crowd.db.del(crowd.table, key_of(key));
  crowd.fail(done);
  crowd.histories[key].wrote(LinearHistory::kAbsent, asked, crowd.moment());
}

Task<void> write_three(Crowd& crowd, std::size_t key) {
  WriteBatch batch;
  std::array<std::uint64_t, 3> numbers{};
  for (std::size_t i = 0; i < 2; ++i) {
    batch.put(crowd.table, key_of((key + i) % kKeys), crowd.next_value());
    numbers[i] = crowd.values;
  }
  batch.del(crowd.table, key_of((key + 2) % kKeys));
  numbers[2] = LinearHistory::kAbsent;
  const std::uint64_t asked = crowd.moment();
  const Status done = co_await crowd.db.write(batch);
  crowd.fail(done);
  const std::uint64_t answered = crowd.moment();
  for (std::size_t i = 0; i < 3; ++i) crowd.histories[(key + i) % kKeys].wrote(numbers[i], asked, answered);
}

Task<void> get_one(Crowd& crowd, std::size_t key) {
  const std::uint64_t asked = crowd.moment();
  Result<Value> found = co_await crowd.db.get(crowd.table, key_of(key));
  crowd.fail(found);
  if (!found) co_return;
  crowd.histories[key].read(number_of(crowd, found->operator bool(), found->bytes()), asked, crowd.moment());
}

Task<void> get_some(Crowd& crowd, std::size_t key) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < 4; ++i) names.push_back(key_of((key + i) % kKeys));
  const std::vector<Bytes> keys(names.begin(), names.end());
  std::vector<Value> values(keys.size());
  const std::uint64_t asked = crowd.moment();
  const Status done = co_await crowd.db.multi_get(crowd.table, keys, values);
  crowd.fail(done);
  const std::uint64_t answered = crowd.moment();
  for (std::size_t i = 0; done && i < values.size(); ++i) {
    const std::uint64_t number = number_of(crowd, static_cast<bool>(values[i]), values[i].bytes());
    crowd.histories[(key + i) % kKeys].read(number, asked, answered);
  }
}

// A scan shows one moment between its first call and its first page.
Task<void> scan_all(Crowd& crowd) {
  std::array<std::uint64_t, kKeys> seen{};
  std::size_t others = 0;
  const std::uint64_t asked = crowd.moment();
  Scan scan = crowd.db.scan(crowd.table);
  for (;;) {
    Result<std::span<const Entry>> page = co_await scan.next_page();
    crowd.fail(page);
    if (!page) co_return;
    if (page->empty()) break;
    for (const Entry& entry : *page) {
      const std::string key = entry.key.str();
      if (key.find('/') != std::string::npos) {
        ++others;
      } else {
        seen[std::strtoull(key.c_str() + 4, nullptr, 10)] = number_of(crowd, true, entry.value);
      }
    }
  }
  const std::uint64_t answered = crowd.moment();
  if (others != kKeys * kOthers) crowd.fail(Status(Error(Errc::corruption, "a scan missed keys that nobody touches")));
  for (std::size_t i = 0; i < kKeys; ++i) crowd.histories[i].read(seen[i], asked, answered);
}

Task<void> scan_in_turn(Crowd& crowd) {
  const Errc granted = co_await crowd.scans.acquire();
  static_cast<void>(granted);
  co_await scan_all(crowd);
  crowd.scans.release();
}

// Whatever is written meanwhile, the answer is that of the moment the snapshot was taken.
Task<void> get_as_of(Crowd& crowd, std::size_t key) {
  const std::uint64_t asked = crowd.moment();
  const Snapshot snapshot = crowd.db.snapshot();
  const std::uint64_t taken = crowd.moment();
  co_await crowd.core.sleep_ns(static_cast<std::int64_t>(crowd.random.below(3000)) * kSimTickNs);
  Result<Value> found = co_await crowd.db.get(crowd.table, key_of(key), {.snapshot = &snapshot});
  crowd.fail(found);
  if (!found) co_return;
  crowd.histories[key].read(number_of(crowd, found->operator bool(), found->bytes()), asked, taken);
}

Task<void> request_later(Crowd& crowd, CancelSource& cancel, bool& over) {
  co_await crowd.core.sleep_ns(static_cast<std::int64_t>(crowd.random.below(12)) * kSimTickNs);
  cancel.request();
  over = true;
}

// The request comes before, during or after the reads of the device: the answer is right, or "cancelled".
Task<void> get_cancelled(Crowd& crowd, std::size_t key) {
  CancelSource cancel;
  bool over = false;
  crowd.core.spawn(request_later(crowd, cancel, over));
  // A key that nobody writes is less often at hand: there the request meets a read under way.
  const bool other = crowd.random.below(3) != 0;
  const std::string name = other ? rt::str(key_of(key), "/", crowd.random.below(kOthers)) : key_of(key);
  const std::uint64_t asked = crowd.moment();
  Result<Value> found = co_await crowd.db.get(crowd.table, name, {.cancel = &cancel});
  if (found && other) {
    if (found->view() != filling()) crowd.fail(Status(Error(Errc::corruption, "a wrong value of an untouched key")));
  } else if (found) {
    crowd.histories[key].read(number_of(crowd, found->operator bool(), found->bytes()), asked, crowd.moment());
  } else if (found.code() == Errc::cancelled) {
    ++crowd.cancelled;
  } else {
    crowd.fail(found);
  }
  while (!over) co_await crowd.core.yield();
}

Task<void> maintain(Crowd& crowd) {
  const std::uint64_t what = crowd.random.below(3);
  Status done;
  if (what == 0) {
    done = co_await crowd.db.compact();
  } else if (what == 1) {
    done = co_await crowd.db.flush();
  } else {
    done = co_await crowd.db.durable(crowd.db.last_sequence());
  }
  crowd.fail(done);
}

Task<void> work(Crowd& crowd) {
  for (unsigned i = 0; i < kOperationsEach && crowd.failure; ++i) {
    const std::uint64_t what = crowd.random.below(100);
    const std::size_t key = crowd.random.below(kKeys);
    if (what < 30) {
      co_await put_one(crowd, key);
    } else if (what < 38) {
      co_await del_one(crowd, key);
    } else if (what < 45) {
      co_await write_three(crowd, key);
    } else if (what < 68) {
      co_await get_one(crowd, key);
    } else if (what < 78) {
      co_await get_some(crowd, key);
    } else if (what < 84) {
      co_await scan_in_turn(crowd);
    } else if (what < 90) {
      co_await get_as_of(crowd, key);
    } else if (what < 97) {
      co_await get_cancelled(crowd, key);
    } else {
      co_await maintain(crowd);
    }
    if (crowd.random.below(3) == 0) {
      co_await crowd.core.sleep_ns(static_cast<std::int64_t>(crowd.random.below(50)) * kSimTickNs);
    }
  }
  --crowd.working;
}

// ---- a run --------------------------------------------------------------------------------------------------------

struct CrowdReport {
  std::uint64_t operations = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t page_reads = 0;
  std::uint64_t flushes = 0;
  std::string violation;
};

TableKind kind_of(std::uint64_t seed) { return seed / 3 % 2 == 0 ? TableKind::tree : TableKind::levels; }

Options crowded(std::uint64_t seed) {
  constexpr WalMode kModes[] = {WalMode::none, WalMode::batched, WalMode::sync};
  return {.path = "crowd.cambium",
          .wal = kModes[seed % 3],
          .memory_bytes = 1 * MiB,
          .write_buffer_bytes = 64 * KiB,
          // A scan of a tree holds two pages, of a level store one of every run, like each merge. Values hold half of
          // the cache at most; the rest has to do for kScansMax scans and the flusher: else `busy` is a right answer.
          .cache_bytes = kind_of(seed) == TableKind::tree ? 64 * KiB : 256 * KiB,
          .wal_bytes_max = 256 * KiB};
}

Task<Status> run_crowd(Core& core, std::uint64_t seed, CrowdReport& report) {
  Partition db = co_await check(Partition::open(core, crowded(seed)));
  const Table table = co_await check(table_of(db, kind_of(seed)));
  for (std::size_t i = 0; i < kKeys * kOthers; ++i) {
    co_await check(db.put(table, rt::str(key_of(i % kKeys), "/", i / kKeys), filling()));
  }
  co_await check(db.flush());
  Crowd crowd(core, db, table, seed);
  crowd.working = kWorkers;
  for (unsigned i = 0; i < kWorkers; ++i) core.spawn(work(crowd));
  while (crowd.working != 0) co_await core.sleep_ns(100 * kSimTickNs);
  co_await check(db.flush());
  co_await check(db.settle());
  for (std::size_t i = 0; i < kKeys; ++i) co_await get_one(crowd, i);
  report.page_reads += db.stats().page_reads;
  report.flushes += db.stats().flushes;
  // Nobody holds anything any more.
  const Stats idle = db.stats();
  if (idle.cache_pages_pinned != 0 || idle.snapshots != 0) {
    crowd.fail(Status(Error(Errc::busy, "pages or snapshots are held, and nobody is there")));
  }
  co_await check(db.check());
  co_await check(db.close());
  db = co_await check(Partition::open(core, crowded(seed)));
  for (std::size_t i = 0; i < kKeys; ++i) co_await get_one(crowd, i);
  Status closed = co_await db.close();
  crowd.fail(closed);
  report.cancelled += crowd.cancelled;
  for (std::size_t i = 0; i < kKeys; ++i) {
    report.operations += crowd.histories[i].size();
    const std::string violation = crowd.histories[i].violation();
    if (!violation.empty() && report.violation.empty()) report.violation = rt::str(key_of(i), ": ", violation);
  }
  co_return crowd.failure;
}

void run_one(std::uint64_t seed, CrowdReport& report) {
  INFO("replay: " << replay_command("test_sim", seed));
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core(SimOptions::drawn(seed));
  const Status done = core->run(run_crowd(*core, seed, report));
  core->drain();
  INFO(done.error().message() << report.violation);
  REQUIRE(done);
  REQUIRE(report.violation.empty());
  REQUIRE(core->spawned() == 0);
  REQUIRE(core->idle());
}

TEST_CASE("concurrent: what every coroutine is told about a key fits one order of all that was done to it",
          "[S10][S20][F02][F03]") {
  const std::uint64_t first = test_seed(1);
  const std::uint64_t operations = number_from_environment("CAMBIUM_MODEL_OPERATIONS", 200'000) / 2;
  CrowdReport report;
  std::uint64_t seed = first;
  for (; report.operations < operations; ++seed) {
    const std::uint64_t before = report.operations;
    run_one(seed, report);
    add_effort(report.operations - before);
  }
  std::printf(
      "concurrent: %llu operations on keys, in %llu runs of %u coroutines, fit an order; %llu gets were cancelled, "
      "%llu "
      "pages read, %llu flushes\n",
      static_cast<unsigned long long>(report.operations), static_cast<unsigned long long>(seed - first), kWorkers,
      static_cast<unsigned long long>(report.cancelled), static_cast<unsigned long long>(report.page_reads),
      static_cast<unsigned long long>(report.flushes));
  report_figure("linearized operations", report.operations);
  CHECK(report.cancelled > 0);
  CHECK(report.page_reads > 10 * (seed - first));
  CHECK(report.flushes > seed - first);
}

// Coroutine frames, operations and buffers are the heap's, so a run that leaves one behind grows it, run by run. The
// first runs fill the pools of frames and of the allocator; then it has to stand still. (The sanitizers' heap does not
// say how large it is; they look for what is lost by themselves.)
TEST_CASE("concurrent: a partition that is closed leaves nothing behind on the heap, however much went on", "[S20]") {
  const std::uint64_t seed = test_seed(4);
  int still = 0;
  std::size_t last = 0;
  for (int run = 0; run < 200 && still < 3; ++run) {
    CrowdReport report;
    run_one(seed, report);
    const std::size_t now = ::mallinfo2().uordblks;
    still = run > 0 && now <= last ? still + 1 : 0;
    last = now;
  }
  CHECK(still == 3);
}

// ---- the judge judged ---------------------------------------------------------------------------------------------

TEST_CASE("concurrent: the judge of histories accepts overlapping answers and refuses stale, early and lost ones") {
  const auto judged = [](auto... operations) {
    LinearHistory history;
    (operations(history), ...);
    return history.violation().empty();
  };
  const auto wrote = [](std::uint64_t value, std::uint64_t asked, std::uint64_t answered) {
    return [=](LinearHistory& history) { history.wrote(value, asked, answered); };
  };
  const auto read = [](std::uint64_t value, std::uint64_t asked, std::uint64_t answered) {
    return [=](LinearHistory& history) { history.read(value, asked, answered); };
  };
  CHECK(judged(read(0, 1, 2), wrote(1, 3, 4), read(1, 5, 6)));
  CHECK(judged(wrote(1, 1, 10), read(0, 2, 3), read(1, 4, 5)));        // it takes effect between the two
  CHECK_FALSE(judged(wrote(1, 1, 10), read(1, 2, 3), read(0, 4, 5)));  // there, and gone again
  CHECK_FALSE(judged(wrote(1, 1, 2), read(0, 3, 4)));                  // stale
  CHECK_FALSE(judged(read(1, 1, 2), wrote(1, 3, 4)));                  // before it was asked for
  CHECK_FALSE(judged(wrote(1, 1, 2), wrote(2, 3, 4), read(1, 5, 6)));  // the later write is lost
  CHECK(judged(wrote(1, 1, 4), wrote(2, 2, 5), read(1, 6, 7)));        // either may have been the later one
  CHECK_FALSE(judged(wrote(1, 1, 4), wrote(2, 2, 5), read(1, 6, 7), read(2, 8, 9)));
  CHECK(judged(wrote(1, 1, 2), wrote(0, 3, 8), read(1, 4, 5), read(0, 6, 7), read(0, 9, 10)));
  CHECK_FALSE(judged(wrote(1, 1, 2), wrote(0, 3, 4), wrote(2, 5, 6), read(0, 7, 8)));
}

}  // namespace
}  // namespace cambium::test
