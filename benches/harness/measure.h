// SPDX-License-Identifier: MIT OR Apache-2.0
// What the operating system says about a run: time, CPU, bytes that reached the device.
//
// The engines' own counters are shown beside these, never instead of them.
//
// Units      seconds as double; bytes; a sector of the kernel's statistics has 512 bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace cambium::bench {

double now_seconds();  // monotonic

// CPU time of this process with all its threads, user and system. Work that the kernel does for us in
// threads of its own (writeback, io_uring's SQ thread) is in no process's account.
double process_cpu_seconds();

// Bytes this process made the device read and write (/proc/self/io): page cache hits are not in it,
// direct I/O is. Buffered writes are counted when they dirty a page, not when it is written back.
struct ProcessIo {
  std::uint64_t read_bytes = 0;
  std::uint64_t write_bytes = 0;
};
ProcessIo process_io();

// The counters of the disk below a path: everybody's I/O, after the block layer has merged requests.
struct DiskIo {
  std::uint64_t write_requests = 0;
  std::uint64_t written_bytes = 0;
  double busy_seconds = 0;  // time with at least one request in flight
  bool known = false;       // false: the path is on no block device of its own (tmpfs, overlay, network)
};
DiskIo disk_io(const std::string& path);

bool pin_thread(int core);  // false: refused; core < 0 does nothing and succeeds

// One measured run.
struct Sample {
  std::uint64_t operation_count = 0;
  double wall_seconds = 0;
  double cpu_seconds = 0;
  std::vector<std::pair<std::string, double>> extras;  // printed and written to the JSON beside the rate

  double rate() const { return wall_seconds > 0 ? static_cast<double>(operation_count) / wall_seconds : 0; }
  double cpu_us_per_operation() const {
    return operation_count > 0 ? cpu_seconds * 1e6 / static_cast<double>(operation_count) : 0;
  }
  double extra(const std::string& name) const;  // requires: present
};

// Runs `body`, which returns how many operations it did, between two readings of the clocks.
Sample measure(const std::function<std::uint64_t()>& body);

// The value below which `share` (0..1) of the values lie; reorders them. Requires: not empty.
double percentile(std::vector<float>& values, double share);

}  // namespace cambium::bench
