// SPDX-License-Identifier: MIT OR Apache-2.0
// PageStream: pages that lie one behind the other, read in large pieces ahead of whoever walks them, past the cache.
//
// A walk over much more than memory, page by page through the cache, is bound by requests per second and drives out
// what others use. One read of 64 pages costs the device little more than one of a single page. The pieces ahead are
// a guess that the pages walked next lie behind these; a walk that leaves most of a piece unused ends its stream.
//
// Sits between tree (caller: its cursor) and the block device (callee), beside the page cache.
//
// Invariants
//   1. Nothing here is verified: the caller compares what it finds with the pointer that led to it.
//   2. A piece that is being read stays out of use until that read is over, whoever has lost interest meanwhile.
//
// Errors     none: a read that fails makes fetch() answer false; who then asks the cache learns what is wrong.
// Suspends   fetch(), drained().
// Lifetime   bytes are good until the next find() or fetch(); streams end before their buffers are destroyed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <cambium/ids.h>
#include <cambium/limits.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/task.h>
#include <cambium/rt/wait_queue.h>

#include "rt/buffer_arena.h"

namespace cambium {

// The pieces that all streams of a partition share.
class StreamBuffers {
 public:
  // `memory`: count * piece_pages pages, aligned for the device; it lies in `arena`, if that is not null.
  StreamBuffers(BlockDevice& device, char* memory, std::size_t count, std::uint32_t piece_pages,
                const rt::BufferArena* arena = nullptr);
  StreamBuffers(const StreamBuffers&) = delete;
  StreamBuffers& operator=(const StreamBuffers&) = delete;
  ~StreamBuffers();

  // Nothing is being read any more: the device may be closed. Requires: every stream has ended.
  Task<void> drained();
  std::uint64_t reads() const noexcept { return reads_; }
  std::size_t free_count() const noexcept { return free_.size(); }
  std::size_t count() const noexcept { return pieces_.size(); }

 private:
  friend class PageStream;
  struct Piece {
    enum class State : std::uint8_t { empty, loading, ready, failed };
    DeviceRequest request;  // first: its address is the piece's
    StreamBuffers* owner = nullptr;
    char* data = nullptr;
    PageId first{};
    std::uint32_t pages = 0;
    std::uint32_t used = 0;  // pages that were found here
    State state = State::empty;
    bool released = false;  // by its stream, while loading
    rt::WaitQueue arrived;

    bool covers(PageId page) const noexcept { return page >= first && raw(page) - raw(first) < pages; }
  };
  Piece* take() noexcept;
  void release(Piece& piece) noexcept;
  void read(Piece& piece, PageId first, std::uint32_t pages) noexcept;
  void loaded(Piece& piece) noexcept;

  BlockDevice& device_;
  std::uint32_t piece_pages_;
  const rt::BufferArena* arena_;
  std::vector<std::unique_ptr<Piece>> pieces_;
  std::vector<Piece*> free_;
  std::size_t loading_ = 0;
  std::uint64_t reads_ = 0;
  rt::WaitQueue drained_;
};

class PageStream {
 public:
  PageStream(StreamBuffers& buffers, bool forward) noexcept : buffers_(buffers), forward_(forward) {}
  PageStream(const PageStream&) = delete;
  PageStream& operator=(const PageStream&) = delete;
  ~PageStream() { stop(); }

  // Takes its pieces. False when there are none to be had; `greedy` leaves none for others.
  bool start(bool greedy);
  bool running() const noexcept { return pieces_[0] != nullptr; }
  void stop() noexcept;
  // Pages that one piece holds: how far behind a page the next ones may lie.
  std::uint32_t piece_pages() const noexcept { return buffers_.piece_pages_; }

  // The bytes of a page that has arrived, or nullptr; what lies behind them is asked for.
  const char* find(PageId page) noexcept;
  // Until the page is there for find(). False when it cannot be had here; the stream has ended then. Requires:
  // running().
  Task<bool> fetch(PageId page);

 private:
  using Piece = StreamBuffers::Piece;
  static constexpr std::size_t kPieces = 3;
  static constexpr std::uint32_t kUsedShare = 4;  // a piece of which less than one in so many was used is wasted
  static constexpr unsigned kWastedMax = 2;       // in a row
  void read_ahead(Piece& piece) noexcept;
  void judge(const Piece& piece) noexcept;

  StreamBuffers& buffers_;
  bool forward_;
  std::array<Piece*, kPieces> pieces_{};  // in the direction of travel
  PageId next_{};                         // forward: where the next piece begins; backwards: where it ends
  unsigned wasted_ = 0;
};

}  // namespace cambium
