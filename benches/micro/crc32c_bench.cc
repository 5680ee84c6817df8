// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Times every implementation of CRC-32C that this processor has, on pages of 4 KiB: one that is in the first cache all
// the time, and random ones of a GiB of memory, where memory is the limit.
//
//   crc32c_bench [name=limit_ns ...]        crc32c_bench sse42=234 avx512=60
//
// Prints ns per page (the median of 21 runs) and which implementation was chosen at run time. With limits for the hot
// page it ends with 3 when one is exceeded, and with 1 when the implementations disagree. On virtual machines
// neighbours are heard: repeat before believing a miss.
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/crc32c.h"
#include "base/random.h"

namespace {

using namespace cambium::rt;

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kMemoryBytes = std::size_t{1} << 30;
constexpr int kRuns = 21;
constexpr std::array kAll{Crc32cImpl::portable, Crc32cImpl::sse42, Crc32cImpl::avx512, Crc32cImpl::armv8};

// Time of this thread on its core: nothing here waits, so what others did meanwhile does not count.
double now_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

// The chosen implementation is called as everybody calls it; the others ask for their processor at every call, 3 ns.
double page_ns(Crc32cImpl impl, const char* memory, const std::vector<std::size_t>& offsets, std::uint32_t& sum) {
  const bool chosen = crc32c_impl_name(impl) == crc32c_impl_name();
  std::vector<double> runs;
  for (int run = 0; run < kRuns; ++run) {
    const double start = now_ns();
    if (chosen) {
      for (const std::size_t offset : offsets) sum ^= crc32c(memory + offset, kPageBytes);
    } else {
      for (const std::size_t offset : offsets) sum ^= crc32c_with(impl, memory + offset, kPageBytes);
    }
    runs.push_back((now_ns() - start) / static_cast<double>(offsets.size()));
  }
  std::nth_element(runs.begin(), runs.begin() + kRuns / 2, runs.end());
  return runs[kRuns / 2];
}

// 0 when none was given.
double limit_of(int argc, char** argv, std::string_view name) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with(name) && argument.substr(name.size()).starts_with('='))
      return std::strtod(argv[i] + name.size() + 1, nullptr);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  void* const mapped =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return std::puts("no memory"), 1;
  madvise(mapped, kMemoryBytes, MADV_HUGEPAGE);
  char* const memory = static_cast<char*>(mapped);
  Random random(7);
  random.bytes(memory, std::size_t{1} << 20);
  for (std::size_t at = std::size_t{1} << 20; at < kMemoryBytes; at *= 2) std::memcpy(memory + at, memory, at);
  const std::vector<std::size_t> hot(20'000, 0);
  std::vector<std::size_t> cold(10'000);
  for (std::size_t& offset : cold) offset = random.below(kMemoryBytes / kPageBytes) * kPageBytes;

  const std::uint32_t right = crc32c_with(Crc32cImpl::portable, memory, kPageBytes);
  int exit_code = 0;
  std::uint32_t sum = 0;
  for (const Crc32cImpl impl : kAll) {
    if (!crc32c_available(impl)) continue;
    const std::string name(crc32c_impl_name(impl));
    if (crc32c_with(impl, memory, kPageBytes) != right) return std::printf("%s is wrong\n", name.c_str()), 1;
    const double hot_ns = page_ns(impl, memory, hot, sum);
    const double cold_ns = page_ns(impl, memory, cold, sum);
    const double limit = limit_of(argc, argv, name);
    const bool missed = limit > 0 && hot_ns > limit;
    std::printf("%-9s %7.1f ns per hot page (%5.1f GB/s), %7.1f ns per page of a GiB%s%s\n", name.c_str(), hot_ns,
                kPageBytes / hot_ns, cold_ns, limit > 0 ? (missed ? "; limit MISSED" : "; limit met") : "",
                impl == Crc32cImpl::portable ? "; one table lookup per byte, for processors without the others" : "");
    if (missed) exit_code = 3;
  }
  std::printf("chosen at run time: %s (%x)\n", std::string(crc32c_impl_name()).c_str(), sum & 0xf);
  munmap(mapped, kMemoryBytes);
  return exit_code;
}
