// SPDX-License-Identifier: MIT OR Apache-2.0
// Opens a damaged file and uses it: check, gets, scans both ways, writes, flush, compaction, close.
//
// Right: the answers of the undamaged file, or an error that says what is damaged. Of pages that were forged (edited,
// and their checksums repaired) any bytes are right; but an entry on whose way nothing was forged is right or refused.
// A file that is refused by open() is not changed. Never: an assertion, a hang, a report of a sanitizer.
//
// Input      one byte: which of the uses below; then the script of damage_script.h
#include <cstdio>
#include <memory>
#include <string>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

#include "base/text.h"
#include "fuzz/damage_script.h"
#include "fuzz/target.h"

namespace cambium::fuzz {
namespace {

enum Use : unsigned {
  kSkipCheck = 1,   // or check() refuses most files before anything else sees them
  kManyWrites = 2,  // more than the write buffers hold
  kCompact = 4,
  kReadOnly = 8,
  kEveryKey = 16,
  kWriteFirst = 32,
};

constexpr std::size_t kShownMax = 4'000;  // entries of a scan: shared subtrees can make it long

// Damage is corruption; what only a newer or foreign file could hold is unsupported; and a forged length may ask for
// more memory, space or file than there is.
bool documented(Errc code, const DamagedFile& file) {
  if (code == Errc::ok || code == Errc::corruption || code == Errc::unsupported) return true;
  return file.any_forged && (code == Errc::io || code == Errc::resource || code == Errc::no_space);
}

class Visit {
 public:
  Visit(Core& core, const DamagedFile& file, unsigned uses) : core_(core), file_(file), uses_(uses) {}

  Task<Status> run() {
    Options options = kSampleOptions;
    options.mode = OpenMode::open;
    options.read_only = (uses_ & kReadOnly) != 0;
    Result<Partition> opened = co_await Partition::open(core_, options);
    expect(opened.code(), "open()");
    opened_ = opened.has_value();
    if (!opened) co_return opened.error();
    Partition db = std::move(*opened);
    if ((uses_ & kSkipCheck) == 0) {
      const Result<CheckReport> report = co_await db.check();
      expect(report.code(), "check()");
    }
    if ((uses_ & kWriteFirst) != 0) {
      co_await write(db);
    }
    co_await read(db);
    co_await scan(db, false);
    co_await scan(db, true);
    co_await write(db);
    co_await read(db);
    const Result<CheckReport> report = co_await db.check();
    expect(report.code(), "check() after writes");
    const Status closed = co_await db.close();
    expect(closed.code(), "close()");
    co_return Status();
  }

  bool opened() const noexcept { return opened_; }

 private:
  void expect(Errc code, const char* what) const {
    if (documented(code, file_)) return;
    std::fprintf(stderr, "%s ended with %s\n", what, std::string(to_string(code)).c_str());
    CAMBIUM_FUZZ_REQUIRE(false, "an error that this damage does not explain");
  }

  Task<void> read(Partition& db) {
    int at = 0;
    for (const auto& [key, entry] : sample_file().entries) {
      if ((uses_ & kEveryKey) == 0 && ++at % 23 != 0) continue;
      const Result<Value> value = co_await db.get(key);
      expect(value.code(), "get()");
      if (!value || !file_.must_be_right(entry)) continue;
      if (value.value() && value.value().view() == entry.value) continue;
      std::string way;
      for (const std::uint32_t page : entry.pages) way += rt::str(" ", page);
      std::fprintf(stderr, "%s, by the pages%s; forged:", key.c_str(), way.c_str());
      for (std::uint32_t page = 0; page < file_.forged.size(); ++page) {
        if (file_.forged[page]) std::fprintf(stderr, " %u", page);
      }
      std::fprintf(stderr, "\n");
      CAMBIUM_FUZZ_REQUIRE(!value.value(), "an entry that was not forged has another value");
      CAMBIUM_FUZZ_REQUIRE(false, "an entry that was not forged is absent");
    }
  }

  // Without forged pages: the entries in order, from the end it began at, until an error.
  Task<void> scan(Partition& db, bool reverse) {
    ScanOptions options;
    options.reverse = reverse;
    options.limit = kShownMax;
    Scan scan = db.scan({}, options);
    const auto& entries = sample_file().entries;
    auto forward = entries.begin();
    auto backward = entries.rbegin();
    std::size_t shown = 0;
    for (;;) {
      const Result<const Entry*> next = co_await scan.next();
      expect(next.code(), "a scan");
      if (!next) break;
      const Entry* entry = next.value();
      if (entry == nullptr) {
        CAMBIUM_FUZZ_REQUIRE(file_.any_forged || written_ || shown == entries.size(), "a scan ends too early");
        break;
      }
      ++shown;
      if (file_.any_forged || written_) continue;
      CAMBIUM_FUZZ_REQUIRE(shown <= entries.size(), "a scan shows more than there is");
      const auto& [key, expected] = reverse ? *backward++ : *forward++;
      CAMBIUM_FUZZ_REQUIRE(entry->key == Bytes(key) && entry->value == Bytes(expected.value), "a scan shows another");
    }
  }

  Task<void> write(Partition& db) {
    if ((uses_ & kReadOnly) != 0) co_return;
    written_ = true;
    const int writes = (uses_ & kManyWrites) != 0 ? 400 : 12;
    for (int i = 0; i < writes; ++i) {
      const std::string key = rt::str(i % 2 == 0 ? "alpha/new " : "beta/new ", i);
      const std::string value(static_cast<std::size_t>(i % 5 == 0 ? 3000 : 300), 'n');
      const Status put = co_await db.put(key, value);
      expect(put.code(), "put()");
      if (!put) break;
    }
    const Status removed = co_await db.del("alpha/new 0");
    expect(removed.code(), "del()");
    const Status flushed = co_await db.flush();
    expect(flushed.code(), "flush()");
    if ((uses_ & kCompact) == 0) co_return;
    const Status compacted = co_await db.compact();
    expect(compacted.code(), "compact()");
  }

  Core& core_;
  const DamagedFile& file_;
  unsigned uses_;
  bool opened_ = false;
  bool written_ = false;
};

// Pages that are as they were stay shared with the sample's disk.
void write_changes(SimDisk& disk, const DamagedFile& file) {
  const std::string_view before = sample_file().bytes;
  const std::string_view after = file.bytes;
  for (std::size_t at = 0; at < after.size(); at += kPageBytes) {
    const std::string_view page = after.substr(at, kPageBytes);
    if (page != before.substr(at, page.size())) disk.poke(kSamplePath, at, page);
  }
}

}  // namespace
}  // namespace cambium::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  const fuzz::SampleFile& sample = fuzz::sample_file();
  if (size == 0) return 0;
  test::Draws script(test::Draws::Tape(data + 1, size - 1));
  const fuzz::DamagedFile file = fuzz::damaged(script);

  SimDisk disk = sample.disk.clone();
  disk.truncate(fuzz::kSamplePath, file.bytes.size());
  fuzz::write_changes(disk, file);
  const std::unique_ptr<Core> core =
      disk.make_core({.seed = data[0], .eager = (data[0] & 64) != 0, .scribble_reads = false});
  fuzz::Visit visit(*core, file, data[0]);
  const Status opened = core->run(visit.run());
  if (!file.changed) CAMBIUM_FUZZ_REQUIRE(opened.has_value(), "an undamaged file is refused");
  while (!core->idle()) core->poll();
  CAMBIUM_FUZZ_REQUIRE(core->spawned() == 0, "a coroutine is left behind");
  if (!visit.opened()) {
    const std::string after = disk.peek(fuzz::kSamplePath, 0, disk.file_size(fuzz::kSamplePath));
    CAMBIUM_FUZZ_REQUIRE(after == file.bytes, "a file that was refused was changed");
  }
  return 0;
}
