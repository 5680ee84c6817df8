// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/measure.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <algorithm>
#include <fstream>

#include "harness/fail.h"

namespace cambium::bench {

double now_seconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double process_cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

ProcessIo process_io() {
  std::ifstream file("/proc/self/io");
  ProcessIo io;
  std::string name;
  std::uint64_t value = 0;
  while (file >> name >> value) {
    if (name == "read_bytes:") io.read_bytes = value;
    if (name == "write_bytes:") io.write_bytes = value;
  }
  return io;
}

DiskIo disk_io(const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) fail("cannot stat " + path);
  std::ifstream file("/sys/dev/block/" + std::to_string(major(status.st_dev)) + ":" +
                     std::to_string(minor(status.st_dev)) + "/stat");
  // Documentation/block/stat.rst: reads, merges, sectors, ms; the same four of writes; in flight, busy ms.
  std::uint64_t field[10] = {};
  for (std::uint64_t& value : field) {
    if (!(file >> value)) return {};
  }
  return {.write_requests = field[4],
          .written_bytes = field[6] * 512,
          .busy_seconds = static_cast<double>(field[9]) * 1e-3,
          .known = true};
}

bool pin_thread(int core) {
  if (core < 0) return true;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

double Sample::extra(const std::string& name) const {
  for (const auto& [extra_name, value] : extras) {
    if (extra_name == name) return value;
  }
  fail("a run did not report " + name);
}

Sample measure(const std::function<std::uint64_t()>& body) {
  Sample sample;
  const double cpu_start = process_cpu_seconds();
  const double wall_start = now_seconds();
  sample.operation_count = body();
  sample.wall_seconds = now_seconds() - wall_start;
  sample.cpu_seconds = process_cpu_seconds() - cpu_start;
  return sample;
}

double percentile(std::vector<float>& values, double share) {
  require(!values.empty(), "a percentile needs values");
  const auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + place, values.end());
  return static_cast<double>(values[static_cast<std::size_t>(place)]);
}

}  // namespace cambium::bench
