// SPDX-License-Identifier: MIT OR Apache-2.0
// IoCounters: what a backend counts about the requests it was given.
//
// Units      requests; bytes that really moved.
#pragma once

#include <cstdint>

#include <cambium/rt/core.h>
#include <cambium/rt/io.h>

namespace cambium::rt {

struct IoCounters {
  std::uint64_t reads = 0;
  std::uint64_t reads_fixed = 0;
  std::uint64_t writes = 0;
  std::uint64_t writes_fixed = 0;
  std::uint64_t syncs = 0;
  std::uint64_t bytes_read = 0;
  std::uint64_t bytes_written = 0;
  std::uint64_t system_calls = 0;

  void submitted(const IoRequest& request, bool fixed) noexcept {
    if (request.kind == IoKind::read) {
      ++reads;
      if (fixed) ++reads_fixed;
    } else if (request.kind == IoKind::write) {
      ++writes;
      if (fixed) ++writes_fixed;
    } else if (request.kind == IoKind::sync) {
      ++syncs;
    }
  }
  void completed(const IoRequest& request) noexcept {
    if (request.result <= 0) return;
    const auto bytes = static_cast<std::uint64_t>(request.result);
    if (request.kind == IoKind::read) bytes_read += bytes;
    if (request.kind == IoKind::write) bytes_written += bytes;
  }
  void add_to(CoreStats& stats) const noexcept {
    stats.reads += reads;
    stats.reads_fixed += reads_fixed;
    stats.writes += writes;
    stats.writes_fixed += writes_fixed;
    stats.syncs += syncs;
    stats.bytes_read += bytes_read;
    stats.bytes_written += bytes_written;
    stats.system_calls += system_calls;
  }
};

}  // namespace cambium::rt
