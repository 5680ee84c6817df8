// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cache/page_reader.h"

#include <algorithm>
#include <cstdlib>

#include <cambium/rt/core.h>
#include <cambium/rt/wait_queue.h>

#include "base/crc32c.h"
#include "base/planted_bug.h"
#include "base/text.h"
#include "format/learned_index_page.h"
#include "format/packed_leaf_page.h"
#include "format/page_header.h"
#include "format/space_page.h"
#include "node/learned_page.h"
#include "node/node_view.h"

namespace cambium {

namespace {

constexpr const char* kHint = "run `cambium check`; restore the file from a backup, or use `cambium salvage`";

}  // namespace

Status locate_page(const BlockDevice& device, const format::ChildPointer& pointer) {
  const std::uint64_t file_pages = device.size_bytes() / kPageBytes;
  if (format::holds_data(pointer.id(), 1, file_pages)) return {};
  const char* const where =
      pointer.page >= file_pages ? "lies beyond the end of the file" : "belongs to the superblocks or the space map";
  return Error(Errc::corruption,
               rt::str("page ", pointer.page, " of ", device.name(), " is referred to as a node, but ", where, " (",
                       file_pages, " pages)"),
               kHint);
}

Status verify_page(const BlockDevice& device, const char* page, const format::ChildPointer& pointer, unsigned level,
                   std::uint64_t file_id, node::LeafUnpacker& unpacker) {
  const format::PageHeader& header = format::header_of(page);
  const char* wrong = nullptr;
  const std::uint32_t computed =
      CAMBIUM_PLANTED(page_checksum_unverified) ? header.checksum : format::page_checksum(page);
  if (computed != header.checksum) {
    wrong = "fails its checksum";
  } else if (computed != pointer.checksum && !CAMBIUM_PLANTED(pointer_checksum_unverified)) {
    wrong = "is intact but not what its parent refers to (a lost or misdirected write)";
  } else if (header.page_id != pointer.page || header.file_id != file_id) {
    wrong = "belongs to another place";
  } else if (!format::level_fits(header.level, level)) {
    wrong = "has another level than its parent expects";
  } else if (level == format::kFilterLevel) {
    if (header.type != format::PageType::filter) wrong = "is no filter page";
  } else if (level == format::kLearnedRootLevel) {
    wrong = node::validate_learned_root(page);
  } else if (level == format::kLearnedDirectoryLevel) {
    wrong = node::validate_learned_directory(page);
  } else if (header.level == format::kPackedLeafLevel) {
    wrong = format::is_packed_leaf(page) ? unpacker.validate(page) : "holds no packed leaves";
  } else {
    wrong = node::validate_node(page);
    if (wrong == nullptr) wrong = node::validate_table_kinds(page);
  }
  if (wrong == nullptr) return {};
  return Error(Errc::corruption,
               rt::str("page ", pointer.page, " of ", device.name(), " ", wrong, " (stored ", rt::hex(header.checksum),
                       ", computed ", rt::hex(computed), ", expected ", rt::hex(pointer.checksum), ")"),
               kHint);
}

// ---- PageReader ---------------------------------------------------------------------------------------------------

void PageReader::Free::operator()(char* memory) const noexcept { std::free(memory); }

PageReader::PageReader(BlockDevice& device, std::uint64_t file_id)
    : device_(device),
      file_id_(file_id),
      memory_(static_cast<char*>(std::aligned_alloc(kPageBytes, kBatchPages * kPageBytes))) {
  CAMBIUM_ASSERT(memory_ != nullptr);
}

namespace {

// Reads in flight together, and the one who waits for all of them.
struct Batch {
  struct Read {
    DeviceRequest request;  // first: its address is the read's
    Batch* batch = nullptr;
  };
  Read reads[PageReader::kBatchPages];
  std::size_t in_flight = 0;
  rt::WaitQueue done;
};

}  // namespace

Task<void> PageReader::read(Wanted* wanted, std::size_t count) {
  CAMBIUM_ASSERT(count <= kBatchPages);
  Batch batch;
  for (std::size_t i = 0; i < count; ++i) {
    wanted[i].status = locate_page(device_, wanted[i].pointer);
    if (!wanted[i].status) continue;
    Batch::Read& read = batch.reads[i];
    read.batch = &batch;
    read.request.io = {.kind = rt::IoKind::read,
                       .bytes = kPageBytes,
                       .offset = std::uint64_t{wanted[i].pointer.page} * kPageBytes,
                       .data = memory_.get() + i * kPageBytes};
    read.request.done = [](DeviceRequest& request) noexcept {
      Batch& owner = *reinterpret_cast<Batch::Read&>(request).batch;
      if (--owner.in_flight == 0) owner.done.wake_all();
    };
    ++batch.in_flight;
    device_.submit(read.request);
  }
  while (batch.in_flight != 0) co_await batch.done.wait();
  for (std::size_t i = 0; i < count; ++i) {
    if (!wanted[i].status) continue;
    const DeviceRequest& request = batch.reads[i].request;
    wanted[i].status = request.error != 0
                           ? device_.status_of(request)
                           : verify_page(device_, page(i), wanted[i].pointer, wanted[i].level, file_id_, unpacker_);
  }
}

Task<Status> PageReader::read_raw(PageId first, std::size_t pages) {
  CAMBIUM_ASSERT(pages <= kBatchPages);
  Status read =
      co_await device_.read(raw(first) * kPageBytes, memory_.get(), static_cast<std::uint32_t>(pages * kPageBytes));
  co_return read;
}

// ---- ValueVerifier ------------------------------------------------------------------------------------------------

ValueVerifier::ValueVerifier(BlockDevice& device, OverflowView reference, char* memory) noexcept
    : device_(device),
      memory_(memory),
      value_bytes_(reference.value_bytes()),
      expected_(reference.checksum()),
      extent_count_(reference.extent_count()),
      first_(reference.extent(0).first) {
  for (std::size_t i = 0; i < extent_count_; ++i) extents_[i] = reference.extent(i);
}

Task<Result<bool>> ValueVerifier::step() {
  if (done_bytes_ == 0) {
    const Status located = locate_value(device_, extents_, extent_count_);
    if (!located) co_return located.error();
  }
  const PageRun& run = extents_[extent_];
  const auto pages = std::min(run.pages - page_in_extent_, static_cast<std::uint32_t>(PageReader::kBatchPages));
  step_bytes_ = pages * static_cast<std::uint32_t>(kPageBytes);
  Status read = co_await device_.read((raw(run.first) + page_in_extent_) * kPageBytes, memory_, step_bytes_);
  if (!read) co_return read.error();
  const std::uint32_t bytes = std::min(step_bytes_, value_bytes_ - done_bytes_);
  checksum_ = rt::crc32c(memory_, bytes, checksum_);
  done_bytes_ += bytes;
  page_in_extent_ += pages;
  if (page_in_extent_ == run.pages) {
    ++extent_;
    page_in_extent_ = 0;
  }
  if (done_bytes_ < value_bytes_) co_return false;
  if (checksum_ != expected_) co_return wrong_value(device_, first_, value_bytes_, expected_, checksum_);
  co_return true;
}

}  // namespace cambium
