// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuzz/sample_log.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>

#include <cambium/rt/block_device.h>
#include <cambium/rt/check.h>

#include "base/assert.h"
#include "base/random.h"
#include "format/wal_group.h"
#include "wal/wal_replay.h"
#include "wal/wal_writer.h"

namespace cambium::fuzz {
namespace {

using format::kWalBlockBytes;
using format::WalGroupHeader;
using format::WalSegmentHeader;

constexpr std::uint32_t kSegments = 5;
constexpr std::uint32_t kSegmentPages = 8;
constexpr std::uint32_t kStagingBytes = 12 << 10;
constexpr unsigned kRecords = 70;
constexpr unsigned kEditsMax = 32;
constexpr std::int64_t kSettleNs = 1'000'000'000;

struct Written {
  std::vector<std::string> keys;
  std::vector<std::string> values;
  std::vector<WalEntry> entries;
};

void draw_batch(rt::Random& random, Written& batch) {
  batch = {};
  const std::uint64_t count = random.below(6) == 0 ? 2 + random.below(5) : 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    batch.keys.push_back(std::string(1 + random.below(20), static_cast<char>('a' + random.below(26))));
    batch.values.push_back(std::string(random.below(9) == 0 ? random.below(15'000) : random.below(700), 'v'));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const bool remove = random.below(5) == 0;
    batch.entries.push_back({TableId{1}, remove ? WalEntryKind::del : WalEntryKind::put, batch.keys[i],
                             remove ? Bytes() : Bytes(batch.values[i])});
  }
}

// When the log is full the tables take it all, and it begins anew.
Task<Status> append_somehow(WalWriter& writer, const Written& batch, SampleLog& log) {
  const std::uint64_t body_bytes = wal_body_bytes(batch.entries);
  for (;;) {
    const Sequence first = next(writer.last_appended());
    if (writer.append(first, batch.entries)) break;
    const WalRoom room = writer.room_for(body_bytes);
    if (room == WalRoom::staging) {
      const Errc woken = co_await writer.room().wait();
      static_cast<void>(woken);
    } else if (room == WalRoom::large) {
      co_await check(writer.append_large(first, batch.entries));
      break;
    } else {
      writer.request_durable(writer.last_appended());
      Status durable = co_await writer.wait_durable(writer.last_appended());
      if (!durable) co_return durable;
      log.in_tables = writer.last_appended();
      log.records.clear();
      writer.advance_start(writer.position_of(log.in_tables));
    }
  }
  const Sequence first{raw(writer.last_appended()) + 1 - batch.entries.size()};
  log.records.push_back(text_of({first, batch.entries}));
  co_return Status();
}

Task<Status> write_log(Core& core, bool finished, SampleLog& log) {
  std::unique_ptr<BlockDevice> device =
      co_await check(FileBlockDevice::open(core, std::string(kLogPath), {.create = true}));
  Status resized = co_await device->resize((kFirstLogPage + kSegments * kSegmentPages) * kPageBytes);
  if (!resized) co_return resized;
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };
  const std::unique_ptr<char, Free> memory(
      static_cast<char*>(std::aligned_alloc(kPageBytes, WalStaging::kCountMin * kStagingBytes)));
  const WalStaging staging{memory.get(), WalStaging::kCountMin, kStagingBytes, nullptr};
  {
    WalWriter writer(*device, log.layout, WalReplay::fresh(log.layout, Sequence{}), staging);
    rt::Random random(11);
    Written batch;
    for (unsigned i = 0; i < kRecords; ++i) {
      draw_batch(random, batch);
      co_await check(append_somehow(writer, batch, log));
      if (i % 3 == 0 && i + 6 < kRecords) {
        writer.request_durable(writer.last_appended());
        Status durable = co_await writer.wait_durable(writer.last_appended());
        if (!durable) co_return durable;
      }
      if (i % 2 == 0) co_await core.sleep_ns(kSettleNs);
    }
    if (finished) co_await check(writer.finish());
    co_await core.sleep_ns(kSettleNs);
    log.layout = writer.layout();
  }
  device->close();
  co_return Status();
}

bool begins_segment(std::uint32_t block) noexcept { return block % kSegmentPages == 0; }

void map_units(SampleLog& log) {
  const std::uint32_t blocks = kSegments * kSegmentPages;
  for (std::uint32_t block = 0; block < blocks;) {
    std::uint32_t count = 1;
    if (!begins_segment(block)) {
      const char* const at = log.bytes.data() + (kFirstLogPage + std::size_t{block}) * kPageBytes;
      const auto& header = *reinterpret_cast<const WalGroupHeader*>(at);
      const std::uint64_t room = (kSegmentPages - block % kSegmentPages) * kPageBytes;
      if (plausible(header, log.layout.log_id, header.position, room) && format::intact_group(at)) {
        count = format::wal_group_bytes(header.payload_bytes) / kWalBlockBytes;
        log.group_blocks.push_back(block);
      }
    }
    for (std::uint32_t i = 0; i < count; ++i) log.unit.push_back(block);
    block += count;
  }
  CAMBIUM_ASSERT(log.unit.size() == blocks && log.group_blocks.size() > 10);
}

SampleLog make_sample(bool finished) {
  SampleLog log;
  log.layout.log_id = 0x5A3B1E106;
  log.layout.segment_pages = kSegmentPages;
  for (std::uint32_t i = 0; i < kSegments; ++i) {
    log.layout.first_pages.push_back(kFirstLogPage + (i * 3 + 2) % kSegments * kSegmentPages);
  }
  const std::unique_ptr<Core> core = log.disk.make_core({.seed = 1, .eager = true});
  const Status written = core->run(write_log(*core, finished, log));
  CAMBIUM_ASSERT(written);
  core->drain();
  log.bytes = log.disk.peek(kLogPath, 0, static_cast<std::size_t>(log.disk.file_size(kLogPath)));
  map_units(log);
  CAMBIUM_ASSERT(log.records.size() > 5 && raw(log.in_tables) != 0);
  return log;
}

// ---- damage -------------------------------------------------------------------------------------------------------

class Damage {
 public:
  explicit Damage(const SampleLog& sample) : sample_(sample), kept_bytes_(sample.bytes.size()) {
    log_.bytes = sample.bytes;
  }
  DamagedLog run(test::Draws& script) {
    for (unsigned left = kEditsMax; left != 0 && !script.ended(); --left) edit(script);
    for (const std::uint32_t unit : to_seal_) {
      if (seal(unit)) log_.forged = true;
    }
    log_.bytes.resize(kept_bytes_);
    log_.changed = log_.bytes != sample_.bytes;
    log_.forged = log_.forged && log_.changed;
    return std::move(log_);
  }

 private:
  char* at(std::uint32_t block, std::uint64_t offset = 0) {
    return log_.bytes.data() + (kFirstLogPage + std::size_t{block}) * kPageBytes + offset;
  }
  std::uint32_t draw_block(test::Draws& script) { return static_cast<std::uint32_t>(script.below(sample_.blocks())); }

  void edit(test::Draws& script) {
    const test::Draws::Tape first = script.bytes(1);
    const auto kind = static_cast<LogEdit>(first[0] % kRepairLog % kLogEdits);
    std::uint32_t block = draw_block(script);
    switch (kind) {
      case LogEdit::set: {
        const std::uint64_t offset = script.below(kPageBytes);
        const test::Draws::Tape bytes = script.bytes(1 + script.below(16));
        const std::size_t count = std::min<std::size_t>(bytes.size(), kPageBytes - offset);
        if (count != 0) std::memcpy(at(block, offset), bytes.data(), count);
        break;
      }
      case LogEdit::flip: {
        char* const byte = at(block, script.below(kPageBytes));
        *byte = static_cast<char>(*byte ^ (1 << script.below(8)));
        break;
      }
      case LogEdit::add: {
        const std::uint64_t offset = script.below(kPageBytes);
        const std::size_t width = std::size_t{1} << script.below(4);
        char* const number_at = at(block, std::min<std::uint64_t>(offset, kPageBytes - width));
        std::uint64_t number = 0;
        std::memcpy(&number, number_at, width);
        number += script.below(256) - 128;
        std::memcpy(number_at, &number, width);
        break;
      }
      case LogEdit::copy: {
        const std::uint32_t to = draw_block(script);
        const std::uint64_t position = reinterpret_cast<const WalGroupHeader*>(at(to))->position;
        std::memmove(at(to), at(block), kPageBytes);
        if (first[0] >= kRepairLog) reinterpret_cast<WalGroupHeader*>(at(to))->position = position;
        block = to;
        break;
      }
      case LogEdit::zero:
        std::memset(at(block), 0, kPageBytes);
        break;
      case LogEdit::cut:
        kept_bytes_ = std::min<std::size_t>(kept_bytes_, (kFirstLogPage + std::size_t{block}) * kPageBytes);
        break;
    }
    if (first[0] >= kRepairLog && kind != LogEdit::cut) {
      to_seal_.insert(sample_.unit[block]);
      to_seal_.insert(block);  // it may have become the begin of a group
    }
  }

  // False when there is no checksum to make right.
  bool seal(std::uint32_t block) {
    if (begins_segment(block)) {
      auto& header = *reinterpret_cast<WalSegmentHeader*>(at(block));
      header.checksum = format::wal_checksum(header);
      return true;
    }
    auto& header = *reinterpret_cast<WalGroupHeader*>(at(block));
    const std::uint64_t room = (kSegmentPages - block % kSegmentPages) * kPageBytes;
    if (!plausible(header, sample_.layout.log_id, header.position, room)) return false;
    header.checksum = format::wal_group_checksum(at(block));
    return true;
  }

  const SampleLog& sample_;
  std::size_t kept_bytes_;
  std::set<std::uint32_t> to_seal_;
  DamagedLog log_;
};

}  // namespace

std::string text_of(const WalRecord& record) {
  std::string text = std::to_string(raw(record.first_sequence));
  for (const WalEntry& entry : record.entries) {
    text += entry.kind == WalEntryKind::put ? " put " : entry.kind == WalEntryKind::del ? " del " : " merge ";
    text += std::to_string(raw(entry.table)) + " " + entry.key.str() + "=" + entry.value.str();
  }
  return text;
}

const SampleLog& sample_log(bool finished) {
  static const SampleLog logs[] = {make_sample(false), make_sample(true)};
  return logs[finished ? 1 : 0];
}

DamagedLog damaged_log(const SampleLog& sample, test::Draws& script) { return Damage(sample).run(script); }

}  // namespace cambium::fuzz
