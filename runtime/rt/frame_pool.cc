// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/frame_pool.h>

#include <new>

#include "base/assert.h"
#include "base/sanitizer.h"

namespace cambium::rt {
namespace {

constexpr std::size_t kClassBytes = 64;
constexpr std::size_t kPooledBytesMax = 2048;
constexpr std::size_t kClasses = kPooledBytesMax / kClassBytes;
// What a list keeps at most. Frames that are always freed on another thread than the one that makes them would
// otherwise pile up there without bound.
constexpr std::uint32_t kFramesKeptMax = 4096;

struct FreeFrame {
  FreeFrame* next;
};

struct FreeList {
  FreeFrame* head;
  std::uint32_t count;
};

// Trivial, so that reaching it costs no initialisation check; Cleaner gives the lists back.
struct Pool {
  FreeList lists[kClasses];
  std::uint64_t allocated;
  bool closed;  // the thread is ending: frames freed by later destructors go straight back
};
constinit thread_local Pool pool{};

struct Cleaner {
  ~Cleaner() {
    for (std::size_t i = 0; i < kClasses; ++i) {
      while (FreeFrame* frame = pool.lists[i].head) {
        pool.lists[i].head = frame->next;
        asan_unpoison(frame, (i + 1) * kClassBytes);
        ::operator delete(frame);
      }
    }
    pool.closed = true;
  }
  void touch() noexcept {}
};
thread_local Cleaner cleaner;

std::size_t class_of(std::size_t bytes) noexcept { return (bytes - 1) / kClassBytes; }

[[gnu::noinline]] void* allocate_new(std::size_t bytes) {
  cleaner.touch();  // the first frame of a thread registers the cleanup
  return ::operator new(bytes);
}

}  // namespace

void* frame_allocate(std::size_t bytes) {
  CAMBIUM_ASSERT(bytes != 0);
  ++pool.allocated;
  if (bytes > kPooledBytesMax) return ::operator new(bytes);
  const std::size_t index = class_of(bytes);
  FreeList& list = pool.lists[index];
  FreeFrame* frame = list.head;
  if (frame == nullptr) [[unlikely]]
    return allocate_new((index + 1) * kClassBytes);
  list.head = frame->next;
  --list.count;
  asan_unpoison(frame, (index + 1) * kClassBytes);
  return frame;
}

void frame_free(void* frame, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (bytes > kPooledBytesMax || pool.closed || pool.lists[index].count == kFramesKeptMax) {
    ::operator delete(frame);
    return;
  }
  cleaner.touch();
  FreeList& list = pool.lists[index];
  list.head = new (frame) FreeFrame{list.head};
  ++list.count;
  // All but the link: a resumed frame that was destroyed is then reported, as with malloc.
  asan_poison(static_cast<char*>(frame) + sizeof(FreeFrame), (index + 1) * kClassBytes - sizeof(FreeFrame));
}

std::uint64_t frames_allocated() noexcept { return pool.allocated; }

}  // namespace cambium::rt
