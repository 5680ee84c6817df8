// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/index_check.h"

#include <cambium/limits.h>

#include "base/text.h"
#include "levels/learned_index.h"

namespace cambium {

using node::NodeView;

namespace {

constexpr const char* kHint = "its entries are all there: write them to a new file";

Error misfit_of(PageReader& reader, PageId page, const char* what) {
  return Error(Errc::corruption, rt::str("page ", raw(page), " of ", reader.device().name(), " ", what), kHint);
}

}  // namespace

void IndexCheck::report(PageId page, const Error& reason) {
  if (first_) first_ = reason;
  visitor_.damaged({page, 0, table_.min_key, {}, reason});
}

Task<Status> IndexCheck::read_page(PageReader& reader, const format::ChildPointer& pointer, unsigned level,
                                   std::string& to) {
  PageReader::Wanted wanted[1];
  wanted[0] = {pointer, level, Status()};
  co_await reader.read(wanted, 1);
  Status status = std::move(wanted[0].status);
  if (status) status = visitor_.visit({pointer.id(), 1}, table_.generation);
  if (status) to.assign(reader.page(0), kPageBytes);
  co_return status;
}

// A page that is damaged is reported; without all of them the leaves are not asked.
Task<Status> IndexCheck::read(PageReader& reader) {
  const SstableIndex& index = table_.index;
  Status read = co_await read_page(reader, index.root, format::kLearnedRootLevel, root_);
  if (read && LearnedIndexView(root_.data()).leaf_count() != index.leaves) {
    read = misfit_of(reader, index.root.id(), "is the root of a learned index of another number of leaves");
  }
  if (!read) {
    report(index.root.id(), read.error());
    co_return Status();
  }
  const LearnedIndexView root(root_.data());
  directory_.resize(index.directory_pages());
  whole_ = true;
  for (std::uint32_t page = 0; page < index.directory_pages(); ++page) {
    const PageId id = table_.directory_page(page);
    const format::ChildPointer pointer{static_cast<std::uint32_t>(raw(id)), root.directory_checksum(page), 0};
    read = co_await read_page(reader, pointer, format::kLearnedDirectoryLevel, directory_[page]);
    if (read) {
      const char* const wrong = directory_misfit(directory_[page].data(), index.leaves, page);
      if (wrong != nullptr) read = misfit_of(reader, id, wrong);
    }
    if (!read) {
      whole_ = false;
      report(id, read.error());
    }
    Status paced = co_await visitor_.pace(page + 2);
    if (!paced) co_return paced;
  }
  co_return Status();
}

// A key whose head several leaves share is the branches' to find, which the walk has checked.
bool IndexCheck::leads_to(Bytes key, PageId page, std::uint32_t checksum) const {
  LearnedSearch search = LearnedIndexView(root_.data()).search(key);
  while (!search.done()) search.narrow(directory_[search.directory_page()].data());
  const LeafRange range = search.range();
  for (std::uint32_t leaf = range.first; leaf <= range.last; ++leaf) {
    if (table_.leaf_page(leaf) != page) continue;
    return leaf_checksum(directory_[directory_page_of(leaf)].data(), leaf) == checksum;
  }
  return false;
}

Task<Status> IndexCheck::leaf(const NodeView& leaf, Bytes low, Bytes high) {
  if (whole_ && leaf.count() != 0) {
    char key[kKeyBytesMax + NodeView::kKeySlack];
    const std::uint32_t checksum = format::header_of(leaf.page()).checksum;
    const std::size_t ends[] = {0, leaf.count() - 1};
    for (const std::size_t end : ends) {
      if (leads_to(Bytes(key, leaf.leaf_key(end, key)), leaf.id(), checksum)) continue;
      report(leaf.id(), Error(Errc::corruption,
                              rt::str("the learned index over page ", raw(leaf.id()), " leads elsewhere"), kHint));
      break;
    }
  }
  Status seen = co_await visitor_.leaf(leaf, low, high);
  co_return seen;
}

}  // namespace cambium
