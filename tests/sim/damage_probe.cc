// SPDX-License-Identifier: MIT OR Apache-2.0
#include "sim/damage_probe.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/text.h"
#include "support/effort.h"
#include "support/kinds.h"
#include "support/quiet_log.h"

namespace cambium::test {
namespace {

Task<Status> fill(Core& core, int entries, int per_flush, TableKind kind) {
  Options options = kDamageOptions;
  options.mode = OpenMode::create;
  Partition db = co_await check(Partition::open(core, options));
  const Table table = co_await check(table_of(db, kind));
  for (int i = 0; i < entries; ++i) {
    co_await check(db.put(table, key_of(i), value_of(i, 0)));
    if (i % per_flush == per_flush - 1) {
      co_await check(db.flush());
    }
  }
  Status closed = co_await db.close();
  co_return closed;
}

Task<void> ask_gets(Partition& db, const Table& table, const Expectation& expectation, Answers& answers) {
  for (int i = 0; i < expectation.entries(); ++i) {
    const Result<Value> value = co_await db.get(table, expectation.key(i));
    if (!value) {
      answers.refuse(value.error());
      answers.expect(value.code() == Errc::corruption, value.error().message(), i);
    } else {
      const bool right = value.value() && expectation.allows(i, value.value().bytes());
      answers.right += right ? 1 : 0;
      answers.expect(right, value.value() ? "another value" : "no value", i);
    }
  }
}

Task<void> ask_scan(Partition& db, const Table& table, const Expectation& expectation, Answers& answers) {
  Scan scan = db.scan(table);
  for (int seen = 0;; ++seen) {
    const Result<const Entry*> entry = co_await scan.next();
    if (!entry) {
      const Result<const Entry*> again = co_await scan.next();  // it stays failed
      answers.refuse(entry.error());
      answers.expect(entry.code() == Errc::corruption, entry.error().message(), seen);
      answers.expect(again.code() == Errc::corruption, "a scan went on after an error", seen);
      co_return;
    }
    const Entry* const shown = entry.value();
    if (shown == nullptr) {
      answers.scan_whole = seen == expectation.entries();
      answers.expect(answers.scan_whole, "the scan ends", seen);
      co_return;
    }
    const bool right =
        seen < expectation.entries() && shown->key == expectation.key(seen) && expectation.allows(seen, shown->value);
    answers.expect(right, "a scan shows another entry", seen);
    if (!right) co_return;
  }
}

Task<void> ask(Core& core, const Expectation& expectation, Answers& answers) {
  Result<Partition> opened = co_await Partition::open(core, kDamageOptions);
  answers.open = opened.code();
  if (!opened) {
    answers.open_message = opened.error().message();
    answers.refuse(opened.error());
    co_return;
  }
  Partition db = std::move(*opened);
  const Result<Table> table = co_await table_of(db, expectation.kind(), TableMode::open);
  if (table) {
    co_await ask_gets(db, table.value(), expectation, answers);
    co_await ask_scan(db, table.value(), expectation, answers);
  } else {
    answers.expect(false, table.error().message(), 0);
  }
  const Result<CheckReport> report = co_await db.check();
  answers.check = report.code();
  if (!report) answers.refuse(report.error());
  answers.superblock_damaged = report && report.value().superblock_damaged;
  const Status closed = co_await db.close();
  static_cast<void>(closed);
}

}  // namespace

std::string key_of(int i) { return rt::str("key ", 1000 + i); }

std::string value_of(int i, int round) {
  const auto bytes = static_cast<std::size_t>(i % 20 == 0 ? 5000 : 50 + i % 300);
  std::string value = rt::str("value ", i, " of round ", round, " ");
  return value.append(bytes, static_cast<char>('a' + (i + round) % 26));
}

Expectation::Expectation(int entries, TableKind kind) : kind_(kind) {
  for (int i = 0; i < entries; ++i) {
    keys_.push_back(key_of(i));
    values_.push_back({value_of(i, 0)});
  }
}

void Expectation::acknowledged() {
  for (std::vector<std::string>& values : values_) values.erase(values.begin(), values.end() - 1);
}

bool Expectation::allows(int i, Bytes value) const {
  const std::vector<std::string>& values = values_[static_cast<std::size_t>(i)];
  return std::any_of(values.begin(), values.end(), [&](const std::string& one) { return value == Bytes(one); });
}

void Answers::expect(bool right_answer, std::string_view what, int at) {
  if (right_answer) return;
  if (wrong++ == 0) first_wrong = rt::str(what, " at entry ", at);
}

void Answers::refuse(const Error& error) {
  ++refused;
  if (std::find(refusals.begin(), refusals.end(), error.message()) == refusals.end()) {
    refusals.push_back(std::string(error.message()));
  }
}

SimDisk filled_disk(int entries, int per_flush, TableKind kind) {
  SimDisk disk;
  const std::unique_ptr<Core> core = disk.make_core();
  const Status filled = core->run(fill(*core, entries, per_flush, kind));
  CAMBIUM_ASSERT_MSG(filled, "the undamaged file cannot be made");
  return disk.clone();
}

Answers ask_disk(SimDisk& disk, const Expectation& expectation) {
  add_effort();
  const QuietLog quiet;
  Answers answers;
  disk.on_step([](void* changed, const SimStep& step) { *static_cast<bool*>(changed) |= step.changed; },
               &answers.changed);
  {
    const std::unique_ptr<Core> core = disk.make_core({.seed = 2, .eager = true, .scribble_reads = false});
    core->run(ask(*core, expectation, answers));
    core->drain();
  }
  disk.on_step(nullptr, nullptr);
  return answers;
}

std::string content_of_file(const SimDisk& disk) {
  return disk.peek(kDamagedFile.view(), 0, disk.file_size(kDamagedFile.view()));
}

}  // namespace cambium::test
