// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Times the write buffer at 1 M entries: put, get, sorting in steps, walking the order, and copying what is flushed in
// that order, with and without asking for it ahead (Change::prefetch()).
//
//   write_buffer_bench [entries]
//
// Prints ns per operation, and the longest single sorting step in us.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "buffer/buffer_cursor.h"
#include "buffer/ordered_runs.h"
#include "table_store.h"

namespace {

using namespace cambium;

// Time of this thread on its core: nothing here waits, so what others did meanwhile does not count.
double now_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double ns_since(double start) { return now_ns() - start; }

struct Workload {
  const char* name;
  bool decimal;  // keys are decimal numbers in random order; else random bytes
  std::size_t key_bytes;
  std::size_t value_bytes;
  std::uint32_t tables;
};

// Back to back in the order of their use, so that reading them costs the measured code nothing.
std::string make_keys(const Workload& work, std::size_t count) {
  rt::Random random(11);
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = i;
  for (std::size_t i = count; i-- > 1;) std::swap(order[i], order[random.below(i + 1)]);
  std::string keys(count * work.key_bytes, '0');
  if (!work.decimal) random.bytes(keys.data(), keys.size());
  for (std::size_t i = 0; work.decimal && i < count; ++i) {
    std::size_t number = order[i] * 5;
    for (std::size_t at = work.key_bytes; at-- > 0; number /= 10) {
      keys[i * work.key_bytes + at] = static_cast<char>('0' + number % 10);
    }
  }
  return keys;
}

// Copies every key and value in key order, as a flush into an sstable does: each lies somewhere else in the buffer.
double copy_ns(std::span<const SortedRef> refs, bool ahead) {
  std::vector<Change> changes;
  for (const SortedRef& ref : refs) {
    const Bytes key = ref.entry->key();
    const Bytes value = ref.entry->value();
    changes.push_back({key.data(), value.data(), static_cast<std::uint32_t>(value.size()),
                       static_cast<std::uint16_t>(key.size()), false});
  }
  std::vector<char> pages(std::size_t{64} << 10);
  std::size_t used = 0;
  const double start = now_ns();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (ahead && i + Change::kPrefetchAhead < changes.size()) changes[i + Change::kPrefetchAhead].prefetch();
    if (used + change.key_bytes + change.value_bytes > pages.size()) used = 0;
    std::memcpy(pages.data() + used, change.key, change.key_bytes);
    std::memcpy(pages.data() + used + change.key_bytes, change.value, change.value_bytes);
    used += change.key_bytes + change.value_bytes;
    asm volatile("" : : "r"(pages.data()) : "memory");  // somebody reads them
  }
  return ns_since(start) / static_cast<double>(changes.size());
}

void run(const Workload& work, std::size_t count) {
  const std::string keys = make_keys(work, count);
  const auto key = [&](std::size_t i) { return Bytes(keys.data() + i * work.key_bytes, work.key_bytes); };
  const std::string value(work.value_bytes, 'v');
  WriteBuffer buffer(count * (work.key_bytes + work.value_bytes + 64) / 7 * 10);
  const auto table = [&](std::size_t i) { return TableId{1 + static_cast<std::uint32_t>(i) % work.tables}; };
  double put_ns = 0;
  for (int round = 0; round < 2; ++round) {  // the second round writes into recycled memory
    if (round > 0) buffer.reset();
    const double start = now_ns();
    for (std::size_t i = 0; i < count; ++i) buffer.add(table(i), key(i), value, WriteKind::put, Sequence{i + 1});
    put_ns = ns_since(start) / static_cast<double>(count);
  }

  rt::Random random(5);
  std::vector<std::uint32_t> asked(count / 2);
  std::string asked_keys;
  for (auto& index : asked) {
    index = static_cast<std::uint32_t>(random.below(count));
    asked_keys.append(key(index).view());
  }
  std::size_t sum = 0;
  double start = now_ns();
  for (std::size_t i = 0; i < asked.size(); ++i) {
    const Bytes asked_key(asked_keys.data() + i * work.key_bytes, work.key_bytes);
    sum += static_cast<unsigned char>(buffer.find(table(asked[i]), asked_key, kLastSequence)->value().data()[0]);
  }
  const double get_ns = ns_since(start) / static_cast<double>(asked.size());

  OrderedRuns runs(buffer);
  double step_ns_max = 0;
  start = now_ns();
  for (bool done = false; !done;) {
    const double step_start = now_ns();
    StepBudget budget(kStepEntries);
    done = runs.merge_all_step(budget);
    step_ns_max = std::max(step_ns_max, ns_since(step_start));
  }
  const double sort_ns = ns_since(start) / static_cast<double>(count);

  start = now_ns();
  std::size_t seen = 0;
  for (std::uint32_t t = 1; t <= work.tables; ++t) {
    BufferCursor cursor(BufferPin(buffer), runs.runs(), TableId{t}, kLastSequence);
    for (bool more = cursor.seek_first(); more; more = cursor.next()) {
      sum += static_cast<unsigned char>(cursor.entry().value().data()[0]);
      ++seen;
    }
  }
  const double walk_ns = ns_since(start) / static_cast<double>(seen);
  const SortedRun whole = runs.whole();
  const double waiting_ns = copy_ns(whole.refs(), false);
  const double asking_ns = copy_ns(whole.refs(), true);
  std::printf(
      "%-28s put %5.1f  get %5.1f  sort %6.1f (longest step %4.0f us)  walk %5.1f  copy %5.1f, asked for ahead %5.1f ns"
      "   %zu keys %zx\n",
      work.name, put_ns, get_ns, sort_ns, step_ns_max / 1000, walk_ns, waiting_ns, asking_ns, seen, sum & 0xf);
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  if (count < 2) return std::puts("usage: write_buffer_bench [entries >= 2]"), 1;
  run({"random 16+100", false, 16, 100, 1}, count);
  run({"decimal 16+100", true, 16, 100, 1}, count);
  run({"random 8+8", false, 8, 8, 1}, count);
  run({"random 16+100, 100 tables", false, 16, 100, 100}, count);
}
