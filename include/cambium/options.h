// SPDX-License-Identifier: MIT OR Apache-2.0
// Options of a partition, and of single operations.
//
// None of them owns anything: option structs may be written inside a co_await expression with designated
// initialisers. What a view shows has to live until the call returns, no longer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <cambium/rt/bytes.h>
#include <cambium/rt/cancel.h>
#include <cambium/rt/export.h>
#include <cambium/rt/result.h>

namespace cambium {

class Snapshot;

inline constexpr std::uint64_t KiB = std::uint64_t{1} << 10;
inline constexpr std::uint64_t MiB = std::uint64_t{1} << 20;
inline constexpr std::uint64_t GiB = std::uint64_t{1} << 30;

enum class OpenMode : std::uint8_t {
  open_or_create,
  open,    // Errc::not_found when the file is missing
  create,  // Errc::exists when it is there, unless making it was interrupted
};

// When a write is durable. What a crash leaves is always a prefix of the writes, in the order of their sequences.
enum class WalMode : std::uint8_t {
  none,     // when flush() says so; no log is kept
  batched,  // wal_interval_ms later, at the latest; writes do not wait for it
  sync,     // when the write is acknowledged: it waits for its group of the log
};

// How a partition is opened. Text form, for parse() and to_string(): "memory=512MiB; mode=open; read_only=true".
// A value with ; or quotes in it, or blanks at its ends, stands in quotes: path="a;b". With quotes inside, # tells
// which is the last one: path=#"a"b"#.
struct Options {
  // --- behaviour ---
  Bytes path = {};                           // path=       file of the partition
  OpenMode mode = OpenMode::open_or_create;  // mode=       open_or_create | open | create
  bool read_only = false;                    // read_only=  shared lock, never writes to the file
  WalMode wal = WalMode::none;               // wal=        none | batched | sync
  std::uint32_t wal_interval_ms = 10;        // wal_interval_ms=  of batched: what a crash may take, in time
  std::uint32_t recovery_ms_max = 0;         // recovery_ms_max=  lowers wal_bytes_max to what can be replayed in this
                                             //             time at 200 MB/s; 0 = off
  // --- performance ---
  std::uint64_t memory_bytes = 256 * MiB;  // memory=     hard budget for cache, buffers and staging
  std::uint64_t write_buffer_bytes = 0;    // write_buffer=  one of up to three; 0 = an eighth of memory
  std::uint64_t cache_bytes = 0;           // cache=      0 = what memory leaves
  std::uint64_t wal_bytes_max = 0;         // wal_bytes_max=  length of the log; flushes keep it below; two segments
                                           //             at the least (128 KiB); 0 = four write buffers, from 64 MiB
                                           //             to 1 GiB: then it never makes a flush begin early
  bool direct_io = true;                   // direct_io=  past the page cache where the file system can
  std::uint32_t readahead_pages = 32;      // readahead=  leaves in flight ahead of a scan
  std::uint32_t lock_wait_ms = 1000;       // lock_wait_ms=  how long another holder of the file is waited for
  std::uint32_t scrub_mb_per_s = 0;  // scrub_mb_per_s=  10^6 bytes per second to verify in the background; 0 = off

  // Errors: invalid_argument, with "did you mean" for an unknown name. The result shows parts of `text`.
  CAMBIUM_EXPORT static Result<Options> parse(std::string_view text);
  // Every option that differs from its default; parse() reads it back.
  CAMBIUM_EXPORT std::string to_string() const;
};

struct ReadOptions {
  const Snapshot* snapshot = nullptr;  // read as of then
  CancelSource* cancel = nullptr;
  std::int64_t deadline_ns = 0;  // of Core::now_ns(); 0 = none. Also while waiting for a write to become durable
};

struct WriteOptions {
  bool no_stall = false;  // Errc::would_stall instead of waiting for buffer space, or room in the log
  bool durable = false;   // acknowledged only when durable, whatever the mode: by the log, without one by a flush
};

struct FlushOptions {
  bool trim = true;  // also give back file space when more than a third of it is free
};

// Which keys a scan covers. Default: all of them.
struct ScanRange {
  Bytes from = {};  // the low end, included; empty = from the first key
  Bytes to = {};    // the high end, excluded; empty = to the last key
  bool from_exclusive = false;
  bool to_inclusive = false;
  Bytes prefix = {};  // only keys that begin with this; from and to are ignored then

  static ScanRange all() noexcept { return {}; }
  static ScanRange with_prefix(Bytes prefix) noexcept {
    ScanRange range;
    range.prefix = prefix;
    return range;
  }
};

struct ScanOptions {
  const Snapshot* snapshot = nullptr;  // scan as of then; default: as of now
  bool reverse = false;                // from the high end down
  std::uint64_t limit = 0;             // entries; 0 = no limit
  std::uint32_t readahead_pages = 0;   // 0 = the partition's
  CancelSource* cancel = nullptr;
};

}  // namespace cambium
