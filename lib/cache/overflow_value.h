// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading values that live in overflow extents: one multi-block read per extent, past the cache, verified as a whole.
//
// Errors     io; corruption naming the first page of the value.
// Suspends   read_overflow(); a checksum over more than 1 MiB also yields to other tasks.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <cambium/ids.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/bytes.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "format/overflow_reference.h"
#include "space/generations.h"

namespace cambium {

// A reference as it lies in a leaf. Requires: validated with its node.
class OverflowView {
 public:
  explicit OverflowView(Bytes reference) noexcept : reference_(reference) {}
  std::uint32_t value_bytes() const noexcept { return record().value_bytes; }
  std::uint32_t checksum() const noexcept { return record().checksum; }
  Generation generation() const noexcept { return Generation{record().generation}; }
  std::size_t extent_count() const noexcept {
    return (reference_.size() - sizeof(format::OverflowReference)) / sizeof(format::OverflowExtent);
  }
  PageRun extent(std::size_t index) const noexcept {
    format::OverflowExtent extent;
    std::memcpy(&extent, reference_.data() + sizeof(format::OverflowReference) + index * sizeof extent, sizeof extent);
    return {PageId{extent.first_page}, extent.pages};
  }
  bool reaches(PageId limit) const noexcept {
    for (std::size_t i = 0; i < extent_count(); ++i) {
      if (raw(extent(i).first) + extent(i).pages > raw(limit)) return true;
    }
    return false;
  }

 private:
  format::OverflowReference record() const noexcept {
    format::OverflowReference record;
    std::memcpy(&record, reference_.data(), sizeof record);
    return record;
  }
  Bytes reference_;
};

// Page-aligned heap memory that holds a value.
class OverflowBuffer {
 public:
  static OverflowBuffer allocate(std::uint32_t value_bytes) {
    OverflowBuffer buffer;
    buffer.memory_.reset(static_cast<char*>(
        std::aligned_alloc(kPageBytes, std::size_t{format::overflow_pages(value_bytes)} * kPageBytes)));
    buffer.bytes_ = value_bytes;
    return buffer;
  }
  explicit operator bool() const noexcept { return memory_ != nullptr; }
  char* data() const noexcept { return memory_.get(); }
  Bytes bytes() const noexcept { return {memory_.get(), bytes_}; }
  char* release() noexcept { return memory_.release(); }  // the caller frees it with std::free

 private:
  OverflowBuffer() = default;
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<char, Free> memory_;
  std::uint32_t bytes_ = 0;
};

// May the extents be read: are they where data can lie, and no more than the file has? They may be forged.
Status locate_value(const BlockDevice& device, const PageRun* extents, std::size_t count);
Error wrong_value(const BlockDevice& device, PageId first, std::uint32_t value_bytes, std::uint32_t stored,
                  std::uint32_t computed);

Task<Result<OverflowBuffer>> read_overflow(BlockDevice& device, OverflowView reference);

}  // namespace cambium
