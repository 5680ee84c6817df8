// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Counts the allocations of the whole test program, to hold the promise that puts, gets and cursor steps make
// none.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <new>

#include "lib/buffer/buffer_model.h"

namespace {

std::size_t allocations = 0;

}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* const memory = std::malloc(bytes == 0 ? 1 : bytes)) return memory;
  throw std::bad_alloc();
}
// Beside the throwing one, since a sanitizer would otherwise pair its own with the deletes below.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

using namespace cambium;
using namespace cambium::test;

TEST_CASE("write buffer: neither put nor find nor a cursor step allocates") {
  WriteBuffer buffer(4 << 20);
  const std::string value(100, 'v');
  const std::size_t before_puts = allocations;
  for (std::uint64_t i = 0; i < 20000; ++i) {
    buffer.add(kDefaultTable, u64_key(i % 15000 * 7919), value, WriteKind::put, Sequence{i + 1});
  }
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 15000; ++i) {
    if (buffer.find(kDefaultTable, u64_key(i * 7919), kLastSequence) != nullptr) ++found;
  }
  CHECK(allocations == before_puts);
  CHECK(found == 15000);

  OrderedRuns runs(buffer);
  catch_up(runs, buffer.count());
  CHECK(allocations > before_puts);  // the counter counts
  BufferCursor cursor(BufferPin(buffer), runs.runs(), kDefaultTable, kLastSequence);
  const std::size_t before_steps = allocations;
  std::size_t seen = 0;
  for (bool more = cursor.seek_first(); more; more = cursor.next()) ++seen;
  for (bool more = cursor.seek(u64_key(5000)); more; more = cursor.previous()) ++seen;
  CHECK(allocations == before_steps);
  CHECK(seen == 15000 + 2);  // back from 7,919, the first at or above 5,000, to 0
}
