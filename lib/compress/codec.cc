// SPDX-License-Identifier: MIT OR Apache-2.0
#include "compress/codec.h"

#include "base/assert.h"

#ifdef CAMBIUM_HAS_LZ4
#include <lz4.h>
#endif
#ifdef CAMBIUM_HAS_ZSTD
#include <zstd.h>
#endif

namespace cambium {

bool has_codec(Compression compression) noexcept {
  switch (compression) {
    case Compression::none:
      return true;
    case Compression::lz4:
#ifdef CAMBIUM_HAS_LZ4
      return true;
#else
      return false;
#endif
    case Compression::zstd:
#ifdef CAMBIUM_HAS_ZSTD
      return true;
#else
      return false;
#endif
  }
  return false;
}

std::string_view name_of(Compression compression) noexcept {
  if (compression == Compression::none) return "none";
  return compression == Compression::lz4 ? "lz4" : "zstd";
}

// ---- Compressor ---------------------------------------------------------------------------------------------------

struct Compressor::State {
#ifdef CAMBIUM_HAS_ZSTD
  // The fastest level: a page is compressed twice, to be filled well, and what is gained by deeper searches in 32 KiB
  // is little.
  static constexpr int kZstdLevel = 1;
  ZSTD_CCtx* zstd = nullptr;
  ~State() { ZSTD_freeCCtx(zstd); }
#endif
};

Compressor::Compressor(Compression compression) : compression_(compression), state_(std::make_unique<State>()) {
  CAMBIUM_ASSERT(compression != Compression::none && has_codec(compression));
}
Compressor::~Compressor() = default;

std::size_t Compressor::bound(std::size_t bytes) const noexcept {
#ifdef CAMBIUM_HAS_LZ4
  if (compression_ == Compression::lz4) return static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(bytes)));
#endif
#ifdef CAMBIUM_HAS_ZSTD
  if (compression_ == Compression::zstd) return ZSTD_compressBound(bytes);
#endif
  return bytes;
}

std::size_t Compressor::compress([[maybe_unused]] Bytes from, [[maybe_unused]] char* to) noexcept {
#ifdef CAMBIUM_HAS_LZ4
  if (compression_ == Compression::lz4) {
    const int made = LZ4_compress_default(from.data(), to, static_cast<int>(from.size()),
                                          LZ4_compressBound(static_cast<int>(from.size())));
    return made > 0 ? static_cast<std::size_t>(made) : 0;
  }
#endif
#ifdef CAMBIUM_HAS_ZSTD
  if (compression_ == Compression::zstd) {
    if (state_->zstd == nullptr) state_->zstd = ZSTD_createCCtx();
    if (state_->zstd == nullptr) return 0;
    const std::size_t made = ZSTD_compressCCtx(state_->zstd, to, ZSTD_compressBound(from.size()), from.data(),
                                               from.size(), State::kZstdLevel);
    return ZSTD_isError(made) != 0 ? 0 : made;
  }
#endif
  return 0;
}

// ---- Decompressor -------------------------------------------------------------------------------------------------

struct Decompressor::State {
#ifdef CAMBIUM_HAS_ZSTD
  ZSTD_DCtx* zstd = nullptr;
  ~State() { ZSTD_freeDCtx(zstd); }
#endif
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::~Decompressor() = default;

bool Decompressor::decompress([[maybe_unused]] Compression compression, [[maybe_unused]] Bytes from,
                              [[maybe_unused]] char* to, [[maybe_unused]] std::size_t bytes) noexcept {
#ifdef CAMBIUM_HAS_LZ4
  if (compression == Compression::lz4) {
    const int made = LZ4_decompress_safe(from.data(), to, static_cast<int>(from.size()), static_cast<int>(bytes));
    return made >= 0 && static_cast<std::size_t>(made) == bytes;
  }
#endif
#ifdef CAMBIUM_HAS_ZSTD
  if (compression == Compression::zstd) {
    if (state_->zstd == nullptr) {
      state_->zstd = ZSTD_createDCtx();
      CAMBIUM_ASSERT(state_->zstd != nullptr);
    }
    // One frame, not several one behind the other, some of which may be empty.
    if (ZSTD_findFrameCompressedSize(from.data(), from.size()) != from.size()) return false;
    return ZSTD_decompressDCtx(state_->zstd, to, bytes, from.data(), from.size()) == bytes;
  }
#endif
  return false;
}

}  // namespace cambium
