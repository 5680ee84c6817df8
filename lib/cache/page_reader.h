// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading pages and verifying them: the question that every page from the device is asked, and a reader that asks it
// past the cache, for whoever wants to know what is on the medium (check, scrub, salvage).
//
// Sits between tree (caller) and the block device (callee), beside the page cache, which asks the same question.
//
// Units      batches of up to kBatchPages pages, all in flight together.
// Errors     io; corruption naming file, page and reason.
// Suspends   read(), verify_value().
// Lifetime   nothing is in flight between calls; a call under way is awaited to its end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <cambium/limits.h>
#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "base/assert.h"
#include "cache/overflow_value.h"
#include "format/child_pointer.h"
#include "node/leaf_unpacker.h"

namespace cambium {

// Can the page be one at all? An error says where the reference leads.
Status locate_page(const BlockDevice& device, const format::ChildPointer& pointer);
// Are these bytes the node that the pointer means, and safe to look at? Packed leaves are unpacked to tell.
Status verify_page(const BlockDevice& device, const char* page, const format::ChildPointer& pointer, unsigned level,
                   std::uint64_t file_id, node::LeafUnpacker& unpacker);

class PageReader {
 public:
  static constexpr std::size_t kBatchPages = 16;

  PageReader(BlockDevice& device, std::uint64_t file_id);

  // A page to read, and afterwards how that went. Its bytes are page(index), good until the next call.
  struct Wanted {
    format::ChildPointer pointer;
    unsigned level = 0;
    Status status;
  };
  // Requires: count <= kBatchPages.
  Task<void> read(Wanted* wanted, std::size_t count);
  const char* page(std::size_t index) const noexcept { return memory_.get() + index * kPageBytes; }
  // What a page shows that was read as a node. Good until the next call of this or of read().
  node::NodeSpan nodes(std::size_t index) noexcept { return unpacker_.nodes(page(index)); }

  // Reads pages [first, first + pages) as they are, without any check. Requires: pages <= kBatchPages, inside the
  // device.
  Task<Status> read_raw(PageId first, std::size_t pages);

  BlockDevice& device() noexcept { return device_; }
  std::uint64_t file_id() const noexcept { return file_id_; }
  void set_file_id(std::uint64_t file_id) noexcept { file_id_ = file_id; }
  char* memory() noexcept { return memory_.get(); }

 private:
  struct Free {
    void operator()(char* memory) const noexcept;
  };
  BlockDevice& device_;
  std::uint64_t file_id_;
  std::unique_ptr<char, Free> memory_;
  node::LeafUnpacker unpacker_;
};

// The checksum of a value in extents, computed piece by piece: a value of 1 GiB takes no more memory than a short one.
class ValueVerifier {
 public:
  // The reference is copied. `memory`: PageReader::kBatchPages pages.
  ValueVerifier(BlockDevice& device, OverflowView reference, char* memory) noexcept;

  // The next piece; true when it was the last one and the checksum is right.
  Task<Result<bool>> step();
  std::uint32_t step_bytes() const noexcept { return step_bytes_; }  // of the device, by the last step

 private:
  BlockDevice& device_;
  char* memory_;
  std::uint32_t value_bytes_;
  std::uint32_t expected_;
  PageRun extents_[format::kOverflowExtentsMax];
  std::size_t extent_count_;
  PageId first_;
  std::size_t extent_ = 0;
  std::uint32_t page_in_extent_ = 0;
  std::uint32_t done_bytes_ = 0;
  std::uint32_t checksum_ = 0;
  std::uint32_t step_bytes_ = 0;
};

}  // namespace cambium
