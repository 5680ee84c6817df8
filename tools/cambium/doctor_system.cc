// SPDX-License-Identifier: MIT OR Apache-2.0
// The probes of kernel, limits and processor.
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include <cambium/options.h>
#include <cambium/rt/core.h>

#include "base/text.h"
#include "cambium/doctor_probes.h"

namespace cambium::cli {
namespace {

using rt::str;

constexpr std::uint64_t kMemlockBytesWanted = 64 * MiB;
constexpr std::uint64_t kCgroupBytesWanted = 512 * MiB;

// The value of "Name:   value" in /proc/self/status.
std::string own_status(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') continue;
    const std::size_t start = line.find_first_not_of(" \t", name.size() + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return {};
}

std::string io_uring_remedy() {
  const std::string disabled = first_line_of("/proc/sys/kernel/io_uring_disabled");
  if (disabled == "2" || (disabled == "1" && ::geteuid() != 0)) return "sysctl -w kernel.io_uring_disabled=0";
  if (own_status("Seccomp") == "2") {
    return "a seccomp filter is active: allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
           "profile";
  }
  return "a kernel of 5.11 or newer that is built with CONFIG_IO_URING";
}

std::optional<std::uint64_t> limit_in(const std::string& path) {
  const std::string text = first_line_of(path);
  if (text.empty() || text == "max") return std::nullopt;
  return rt::parse_bytes(text);
}

// The smallest limit on the way from our cgroup (version 2, then version 1) to the root.
std::optional<std::uint64_t> cgroup_limit() {
  std::optional<std::uint64_t> smallest;
  const auto take = [&smallest](const std::optional<std::uint64_t>& limit) {
    if (limit && (!smallest || *limit < *smallest)) smallest = limit;
  };
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t colon = line.rfind(':');
    if (colon == std::string::npos) continue;
    const bool version2 = line.starts_with("0::");
    if (!version2 && line.find(":memory:") == std::string::npos) continue;
    const std::string root = version2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    std::string path = line.substr(colon + 1);
    for (;;) {
      take(limit_in(str(root, path == "/" ? "" : path, version2 ? "/memory.max" : "/memory.limit_in_bytes")));
      const std::size_t slash = path.rfind('/');
      if (path.size() <= 1 || slash == std::string::npos) break;
      path.resize(slash == 0 ? 1 : slash);
    }
  }
  constexpr std::uint64_t kUnlimited = std::uint64_t{1} << 60;  // how version 1 says "no limit"
  if (smallest && *smallest > kUnlimited) return std::nullopt;
  return smallest;
}

}  // namespace

std::string first_line_of(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Finding probe_kernel() {
  struct utsname names = {};
  static_cast<void>(::uname(&names));
  const char* const release = names.release;
  int major_number = 0;
  int minor_number = 0;
  std::sscanf(release, "%d.%d", &major_number, &minor_number);
  const auto since = [&](int major_wanted, int minor_wanted) {
    return std::pair(major_number, minor_number) >= std::pair(major_wanted, minor_wanted);
  };
  if (since(6, 1)) return {.name = "kernel", .text = str("Linux ", release)};
  if (since(5, 11)) {
    return {"kernel", Level::warn, str("Linux ", release, ": io_uring works, its fastest mode needs 6.1"),
            "use Linux 6.1 or newer"};
  }
  return {"kernel", Level::warn, str("Linux ", release, " is too old for io_uring as we use it"),
          "use Linux 6.1 or newer; until then the threads backend works, more slowly"};
}

Finding probe_io_uring() {
  const Result<std::unique_ptr<Core>> core = Core::create({.backend = Backend::uring});
  const std::string disabled = first_line_of("/proc/sys/kernel/io_uring_disabled");
  const std::string setting = disabled.empty() ? "" : str(" (kernel.io_uring_disabled = ", disabled, ")");
  if (core) return {.name = "io_uring", .text = str("allowed", setting)};
  return {"io_uring", Level::warn, str(core.error().message(), setting, "; the threads backend is used instead"),
          io_uring_remedy()};
}

Finding probe_ring_features() {
  const Result<std::unique_ptr<Core>> core = Core::create({.backend = Backend::uring});
  if (!core) return {"ring features", Level::warn, "no ring, no features", io_uring_remedy()};
  const std::string_view refused = core.value()->backend_note();
  if (refused.empty()) return {.name = "ring features", .text = "all that we ask for were granted"};
  return {"ring features", Level::warn, std::string(refused), "a newer kernel, or what the line above it says"};
}

Finding probe_memlock() {
  struct rlimit limit = {};
  static_cast<void>(::getrlimit(RLIMIT_MEMLOCK, &limit));
  const bool unlimited = limit.rlim_cur == RLIM_INFINITY;
  const std::string text = unlimited ? "unlimited" : rt::format_bytes(limit.rlim_cur);
  if (::geteuid() == 0) return {.name = "memlock", .text = str(text, "; root is exempt")};
  if (unlimited || limit.rlim_cur >= kMemlockBytesWanted) return {.name = "memlock", .text = text};
  return {"memlock", Level::warn, str(text, ": the page cache cannot be registered with the ring, so reads cost more"),
          "ulimit -l unlimited; for good: a line `USER - memlock unlimited` in /etc/security/limits.conf, or "
          "LimitMEMLOCK=infinity in the systemd unit"};
}

Finding probe_cgroup_memory() {
  const std::optional<std::uint64_t> limit = cgroup_limit();
  if (!limit) return {.name = "cgroup memory", .text = "no limit"};
  const std::string text = rt::format_bytes(*limit);
  if (*limit >= kCgroupBytesWanted) {
    return {.name = "cgroup memory", .text = str(text, "; give --memory at most three quarters of it")};
  }
  return {"cgroup memory", Level::warn, str(text, " is little: load and bench ask for 256 MiB by themselves"),
          str("--memory ", rt::format_bytes_exact(std::max<std::uint64_t>(*limit / 2 / MiB, 1) * MiB),
              ", or raise memory.max")};
}

Finding probe_huge_pages() {
  const std::string setting = first_line_of("/sys/kernel/mm/transparent_hugepage/enabled");
  if (setting.find("[madvise]") != std::string::npos || setting.find("[always]") != std::string::npos) {
    return {.name = "huge pages", .text = setting};
  }
  return {"huge pages", Level::warn, setting.empty() ? "the kernel has none" : setting,
          "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding probe_governor() {
  const std::string governor = first_line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (governor.empty())
    return {.name = "cpu governor", .text = "not ours to set (a virtual machine, or fixed frequency)"};
  if (governor == "performance" || governor == "schedutil") return {.name = "cpu governor", .text = governor};
  return {"cpu governor", Level::warn, str(governor, ": the clock rises late under short bursts"),
          "cpupower frequency-set -g performance"};
}

}  // namespace cambium::cli
