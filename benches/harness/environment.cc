// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/environment.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

// The build system passes what the preprocessor cannot know; a build by hand says so itself.
#ifndef CAMBIUM_BENCH_BUILD
#define CAMBIUM_BENCH_BUILD "not recorded (built without the build system)"
#endif
#ifndef CAMBIUM_BENCH_SANITIZE
#define CAMBIUM_BENCH_SANITIZE "none"
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer) || \
    __has_feature(undefined_behavior_sanitizer)
#define CAMBIUM_BENCH_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CAMBIUM_BENCH_SANITIZED 1
#endif

namespace cambium::bench {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line.empty() ? "unknown" : line;
}

std::string value_in(const char* path, const std::string& name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t start = line.find_first_not_of(" \t:", name.size());
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

// The mount whose device number is the folder's: type, source and options as the kernel has them.
std::string file_system(const std::string& dir) {
  struct stat status{};
  if (stat(dir.c_str(), &status) != 0) return "unknown";
  const std::string device = std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string id, parent, mount_device, root, mount_point, word, type, source, options;
    fields >> id >> parent >> mount_device >> root >> mount_point;
    if (mount_device != device) continue;
    while (fields >> word && word != "-") continue;
    fields >> type >> source >> options;
    return type + " on " + source + " (" + options + ")";
  }
  return "device " + device;
}

std::string utc_now() {
  const time_t now = time(nullptr);
  tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string compiler() {
#if defined(__clang__)
  return std::string("clang ") + __clang_version__;
#else
  return std::string("g++ ") + __VERSION__;
#endif
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_environment(const std::string& dir) {
  utsname kernel{};
  uname(&kernel);
  return {
      {"time", utc_now()},
      {"kernel", std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine},
      {"processor",
       value_in("/proc/cpuinfo", "model name") + ", " + std::to_string(sysconf(_SC_NPROCESSORS_ONLN)) + " online"},
      {"memory", value_in("/proc/meminfo", "MemTotal")},
      {"huge_pages", first_line("/sys/kernel/mm/transparent_hugepage/enabled")},
      {"load_average", first_line("/proc/loadavg")},
      {"file_system", file_system(dir)},
      {"compiler", compiler()},
      {"build", CAMBIUM_BENCH_BUILD},
  };
}

std::string unfit_build() {
#if !defined(__OPTIMIZE__)
  return "built without optimisation";
#elif defined(CAMBIUM_BENCH_SANITIZED)
  return "built with a sanitizer";
#else
  const std::string sanitize = CAMBIUM_BENCH_SANITIZE;  // g++ gives no sign of its undefined-behaviour checks
  return sanitize == "none" || sanitize.empty() ? "" : "built with the sanitizer " + sanitize;
#endif
}

}  // namespace cambium::bench
