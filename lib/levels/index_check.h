// SPDX-License-Identifier: MIT OR Apache-2.0
// Holds the learned index of an sstable against its leaves, for the checker and the scrub.
//
// First read(): every page of the index, past the cache. Then it stands between the walk over the tree and the visitor
// of that: each leaf's first and last key are looked up, and have to lead to it, with its checksum.
//
// Errors     damage goes to the visitor; first() is what the first was. read() fails with what the visitor answered.
// Suspends   read().
// Lifetime   sstable and visitor outlive it.
#pragma once

#include <string>
#include <vector>

#include "cache/page_reader.h"
#include "levels/sstable.h"
#include "table_store.h"

namespace cambium {

class IndexCheck final : public PageVisitor {
 public:
  IndexCheck(const Sstable& table, PageVisitor& visitor) : table_(table), visitor_(visitor) {}

  Task<Status> read(PageReader& reader);
  const Status& first() const noexcept { return first_; }

  Status visit(PageRun run, Generation birth) override { return visitor_.visit(run, birth); }
  void damaged(const DamagedPlace& place) override { visitor_.damaged(place); }
  Task<Status> leaf(const node::NodeView& leaf, Bytes low, Bytes high) override;
  Task<Status> pace(std::uint64_t pages_read) override { return visitor_.pace(table_.index.pages() + pages_read); }

 private:
  Task<Status> read_page(PageReader& reader, const format::ChildPointer& pointer, unsigned level, std::string& to);
  bool leads_to(Bytes key, PageId page, std::uint32_t checksum) const;
  void report(PageId page, const Error& reason);

  const Sstable& table_;
  PageVisitor& visitor_;
  std::string root_;
  std::vector<std::string> directory_;
  bool whole_ = false;
  Status first_;
};

}  // namespace cambium
