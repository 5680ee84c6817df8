// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_stream.h"

#include <algorithm>

#include "base/assert.h"

namespace cambium {

// ---- StreamBuffers ------------------------------------------------------------------------------------------------

StreamBuffers::StreamBuffers(BlockDevice& device, char* memory, std::size_t count, std::uint32_t piece_pages,
                             const rt::BufferArena* arena)
    : device_(device), piece_pages_(piece_pages), arena_(arena) {
  for (std::size_t i = 0; i < count; ++i) {
    pieces_.push_back(std::make_unique<Piece>());
    pieces_.back()->owner = this;
    pieces_.back()->data = memory + i * piece_pages * kPageBytes;
    free_.push_back(pieces_.back().get());
  }
}

StreamBuffers::~StreamBuffers() { CAMBIUM_ASSERT(loading_ == 0); }

Task<void> StreamBuffers::drained() {
  while (loading_ != 0) co_await drained_.wait();
}

StreamBuffers::Piece* StreamBuffers::take() noexcept {
  if (free_.empty()) return nullptr;
  Piece* const piece = free_.back();
  free_.pop_back();
  piece->state = Piece::State::empty;
  piece->released = false;
  piece->pages = 0;
  piece->used = 0;
  return piece;
}

void StreamBuffers::release(Piece& piece) noexcept {
  piece.released = true;
  if (piece.state != Piece::State::loading) free_.push_back(&piece);
}

void StreamBuffers::read(Piece& piece, PageId first, std::uint32_t pages) noexcept {
  CAMBIUM_ASSERT(piece.state != Piece::State::loading);
  piece.first = first;
  piece.pages = pages;
  piece.used = 0;
  piece.state = Piece::State::loading;
  const std::uint32_t bytes = pages * static_cast<std::uint32_t>(kPageBytes);
  piece.request = {};
  piece.request.io = {.kind = rt::IoKind::read,
                      .buffer_index = rt::BufferArena::index_in(arena_, piece.data, bytes),
                      .bytes = bytes,
                      .offset = raw(first) * kPageBytes,
                      .data = piece.data};
  piece.request.done = [](DeviceRequest& request) noexcept {
    Piece& done = reinterpret_cast<Piece&>(request);  // the request is its first member
    done.owner->loaded(done);
  };
  ++loading_;
  ++reads_;
  device_.submit(piece.request);
}

void StreamBuffers::loaded(Piece& piece) noexcept {
  piece.state = piece.request.error == 0 ? Piece::State::ready : Piece::State::failed;
  if (piece.released) free_.push_back(&piece);
  piece.arrived.wake_all();
  if (--loading_ == 0) drained_.wake_all();
}

// ---- PageStream ---------------------------------------------------------------------------------------------------

bool PageStream::start(bool greedy) {
  if (running()) return true;
  if (buffers_.free_count() < (greedy ? kPieces : kPieces + buffers_.count() / 2)) return false;
  for (Piece*& piece : pieces_) piece = buffers_.take();
  wasted_ = 0;
  return true;
}

void PageStream::stop() noexcept {
  for (Piece*& piece : pieces_) {
    if (piece != nullptr) buffers_.release(*piece);
    piece = nullptr;
  }
}

// Clipped at the ends of the file; empty beyond them.
void PageStream::read_ahead(Piece& piece) noexcept {
  const std::uint64_t file_pages = buffers_.device_.size_bytes() / kPageBytes;
  const std::uint64_t at = raw(next_);
  const std::uint64_t first = forward_ ? at : at - std::min<std::uint64_t>(at, piece_pages());
  const std::uint64_t end = std::min(forward_ ? at + piece_pages() : at, file_pages);
  next_ = PageId{forward_ ? end : first};
  piece.pages = 0;
  piece.state = Piece::State::empty;
  if (first < end) buffers_.read(piece, PageId{first}, static_cast<std::uint32_t>(end - first));
}

void PageStream::judge(const Piece& piece) noexcept {
  wasted_ = piece.used * kUsedShare < piece.pages ? wasted_ + 1 : 0;
}

const char* PageStream::find(PageId page) noexcept {
  for (std::size_t i = 0; i < kPieces && pieces_[i] != nullptr; ++i) {
    Piece& piece = *pieces_[i];
    if (piece.state != Piece::State::ready || !piece.covers(page)) continue;
    // What lies before it has been walked.
    for (; i > 0 && pieces_[0]->state != Piece::State::loading; --i) {
      Piece& walked = *pieces_[0];
      judge(walked);
      std::rotate(pieces_.begin(), pieces_.begin() + 1, pieces_.end());
      if (wasted_ == 0) {
        read_ahead(walked);
      } else {
        walked.pages = 0;
      }
    }
    ++piece.used;
    return piece.data + (raw(page) - raw(piece.first)) * kPageBytes;
  }
  return nullptr;
}

Task<bool> PageStream::fetch(PageId page) {
  const auto coming = std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece* piece) {
    return piece->state == Piece::State::loading && piece->covers(page);
  });
  if (coming == pieces_.end()) {
    if (pieces_[0]->pages != 0) judge(*pieces_[0]);
    for (Piece* const piece : pieces_) {
      while (piece->state == Piece::State::loading) co_await piece->arrived.wait();
    }
    if (wasted_ >= kWastedMax) {
      stop();
      co_return false;
    }
    next_ = forward_ ? page : PageId{raw(page) + 1};
    for (Piece* const piece : pieces_) read_ahead(*piece);
  }
  Piece* const piece = coming == pieces_.end() ? pieces_[0] : *coming;
  while (piece->state == Piece::State::loading) co_await piece->arrived.wait();
  if (piece->state == Piece::State::ready && piece->covers(page)) co_return true;
  stop();
  co_return false;
}

}  // namespace cambium
