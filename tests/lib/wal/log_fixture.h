// SPDX-License-Identifier: MIT OR Apache-2.0
// A log on a simulated disk: batches made from seeds, what was appended, a sink that remembers, and short cuts.
#pragma once

#include <catch2/catch.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random.h"
#include "lib/space/device_fixture.h"
#include "wal/wal_replay.h"
#include "wal/wal_writer.h"

namespace cambium::test {

// A batch with its bytes.
struct OwnedBatch {
  struct Write {
    TableId table;
    WalEntryKind kind;
    std::string key;
    std::string value;
  };
  std::vector<Write> writes;

  std::vector<WalEntry> entries() const {
    std::vector<WalEntry> views;
    for (const Write& w : writes) views.push_back({w.table, w.kind, w.key, w.value});
    return views;
  }
};

inline std::string random_bytes(rt::Random& random, std::size_t bytes) {
  std::string text(bytes, '\0');
  random.bytes(text.data(), bytes);
  return text;
}

inline OwnedBatch one_put(std::string key, std::string value) {
  return {{{kDefaultTable, WalEntryKind::put, std::move(key), std::move(value)}}};
}

// Mostly small, sometimes longer than a staging buffer of the tests. `value_max`: of the long ones.
inline OwnedBatch random_batch(rt::Random& random, std::size_t value_max) {
  OwnedBatch batch;
  const std::uint64_t count = random.below(8) == 0 ? 1 + random.below(12) : 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto kind = static_cast<WalEntryKind>(1 + random.below(3));
    const std::size_t key_bytes = random.below(10) == 0 ? 1024 : 1 + random.below(40);
    const std::size_t value_bytes = random.below(12) == 0 ? random.below(value_max + 1) : random.below(300);
    batch.writes.push_back({TableId{static_cast<std::uint32_t>(random.below(5))}, kind, random_bytes(random, key_bytes),
                            kind == WalEntryKind::del ? std::string() : random_bytes(random, value_bytes)});
  }
  return batch;
}

inline std::uint64_t digest_of(std::span<const WalEntry> entries) {
  std::uint64_t digest = entries.size();
  for (const WalEntry& e : entries) {
    const std::uint64_t head[] = {raw(e.table), static_cast<std::uint64_t>(e.kind), e.key.size(), e.value.size()};
    digest = rt::hash64(head, sizeof head, digest);
    digest = rt::hash64(e.key.data(), e.key.size(), digest);
    digest = rt::hash64(e.value.data(), e.value.size(), digest);
  }
  return digest;
}

// A record, as far as a test compares it.
struct RecordSum {
  Sequence first{};
  Sequence last{};
  std::uint64_t digest = 0;
  bool operator==(const RecordSum&) const = default;
};

inline RecordSum sum_of(Sequence first, std::span<const WalEntry> entries) {
  return {first, Sequence{raw(first) + entries.size() - 1}, digest_of(entries)};
}

class CollectSink : public WalSink {
 public:
  explicit CollectSink(unsigned refuse_every = 0) : refuse_every_(refuse_every) {}
  bool take(const WalRecord& record) override {
    if (refuse_every_ != 0 && ++offers_ % refuse_every_ == 0) return false;
    seen.push_back(sum_of(record.first_sequence, record.entries));
    return true;
  }
  Task<Status> make_room(const WalRecord& record) override {
    const std::uint64_t before = digest_of(record.entries);
    co_await Core::current().sleep_ns(20 * kSimTickNs);
    CHECK(digest_of(record.entries) == before);  // the views hold while the sink makes room
    ++waits;
    co_return Status();
  }
  std::vector<RecordSum> seen;
  unsigned waits = 0;

 private:
  unsigned refuse_every_;
  unsigned offers_ = 0;
};

// A file whose segments lie in no order, behind four pages that are not the log's.
inline WalLayout test_layout(std::uint32_t segment_pages, std::uint32_t segments) {
  WalLayout layout;
  layout.log_id = 0x1D0F106;
  layout.segment_pages = segment_pages;
  for (std::uint32_t i = 0; i < segments; ++i) layout.first_pages.push_back(4 + (i * 7 + 3) % segments * segment_pages);
  return layout;
}
inline std::uint64_t pages_of(const WalLayout& layout) {
  return 4 + layout.first_pages.size() * std::uint64_t{layout.segment_pages};
}

inline Task<Status> sync_device(BlockDevice& device) {
  Status status = co_await device.sync();
  co_return status;
}
inline Task<Status> await_durable(WalWriter& writer, Sequence sequence) {
  Status status = co_await writer.wait_durable(sequence);
  co_return status;
}
inline Task<void> await_room(WalWriter& writer) { (void)co_await writer.room().wait(); }

// One log, written and replayed on one device. Segment counts are no multiple of 7.
class LogFixture : public DeviceFixture {
 public:
  LogFixture(std::uint32_t segment_pages, std::uint32_t segments,
             const SimOptions& options = {.seed = 1, .eager = true}, std::uint32_t staging_bytes = 16 << 10,
             std::size_t staging_count = 3)
      : DeviceFixture(4 + std::uint64_t{segments} * segment_pages, options, 600),
        layout(test_layout(segment_pages, segments)) {
    staging = {memory(staging_bytes / kPageBytes * staging_count), staging_count, staging_bytes, &arena()};
  }
  ~LogFixture() { close(); }

  // Replays, erases and goes on.
  void open(const WalPolicy& policy = {}, Sequence tables = {}) {
    replayed.emplace(replay_now(tables).value());
    run(erase_tail(device(), *replayed)).value();
    writer.emplace(device(), layout, *replayed, staging, policy);
  }
  void close() {
    if (!writer) return;
    Status ignored = run(writer->finish());
    static_cast<void>(ignored);
    layout = writer->layout();
    writer.reset();
  }
  // As a killed process leaves it: what was in flight completes, what was not written is lost.
  void kill() {
    settle();
    layout = writer->layout();
    writer.reset();
  }
  Result<WalReplay> replay_now(Sequence tables = {}, unsigned refuse_every = 0) {
    CollectSink sink(refuse_every);
    Result<WalReplay> result = run(replay(device(), layout, next(tables), sink));
    seen = std::move(sink.seen);
    sink_waits = sink.waits;
    return result;
  }

  bool append(const OwnedBatch& batch) {
    const std::vector<WalEntry> entries = batch.entries();
    const Sequence first = next(writer->last_appended());
    if (!writer->append(first, entries)) return false;
    appended.push_back(sum_of(first, entries));
    return true;
  }
  Status append_large(const OwnedBatch& batch) {
    const std::vector<WalEntry> entries = batch.entries();
    const Sequence first = next(writer->last_appended());
    Status status = run(writer->append_large(first, entries));
    if (status) appended.push_back(sum_of(first, entries));
    return status;
  }
  // Appends, whatever it takes, but for segments: false when the log is full.
  bool append_somehow(const OwnedBatch& batch) {
    const std::vector<WalEntry> entries = batch.entries();
    for (;;) {
      if (append(batch)) return true;
      const WalRoom room = writer->room_for(wal_body_bytes(entries));
      if (room == WalRoom::segments) return false;
      if (room == WalRoom::large) {
        append_large(batch).value();
        return true;
      }
      REQUIRE(room == WalRoom::staging);
      run(await_room(*writer));
    }
  }
  // Makes everything so far durable.
  void make_durable() {
    writer->request_durable(writer->last_appended());
    run(await_durable(*writer, writer->last_appended())).value();
  }

  std::uint64_t file_offset(std::uint64_t position) const {  // of a position in the first run over the segments
    return wal_file_offset(layout.first_pages[static_cast<std::size_t>(layout.ordinal_of(position))]) +
           layout.offset_of(position);
  }

  WalLayout layout;
  WalStaging staging;
  std::optional<WalReplay> replayed;
  std::optional<WalWriter> writer;
  std::vector<RecordSum> appended;
  std::vector<RecordSum> seen;
  unsigned sink_waits = 0;
};

}  // namespace cambium::test
