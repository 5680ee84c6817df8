// SPDX-License-Identifier: MIT OR Apache-2.0
// Codec: the one seam to the libraries that compress, LZ4 and zstd. Each is there or not, as the build found it.
//
// What is written by one build may be read by another that has less: whoever opens a file asks has_codec() first.
//
// Units      bytes; blocks of some ten KiB, each compressed by itself.
// Errors     as values: 0 or false. Input of decompress() may be anything: nothing outside of the two spans is touched.
// Lifetime   the library's working memory is kept from one call to the next: some 300 KiB for zstd, none for LZ4.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>

namespace cambium {

// Can this build read and write it?
bool has_codec(Compression compression) noexcept;
// "lz4"; also what the library is called, with "lib" before it.
std::string_view name_of(Compression compression) noexcept;

class Compressor {
 public:
  // Requires: has_codec(compression), and it is not none.
  explicit Compressor(Compression compression);
  ~Compressor();
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;

  // The most that compress() makes of so many bytes.
  std::size_t bound(std::size_t bytes) const noexcept;
  // Returns how many bytes it wrote to `to`, which has room for bound(from.size()); 0: it could not.
  std::size_t compress(Bytes from, char* to) noexcept;
  Compression compression() const noexcept { return compression_; }

 private:
  struct State;
  Compression compression_;
  std::unique_ptr<State> state_;
};

class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  // True when `from`, all of it, makes exactly `bytes` bytes, which are in `to` then. False also without the codec.
  bool decompress(Compression compression, Bytes from, char* to, std::size_t bytes) noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cambium
