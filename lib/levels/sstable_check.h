// SPDX-License-Identifier: MIT OR Apache-2.0
// SstableCheck: stands between the walk over an sstable's tree and whoever asked for it, and compares what the leaves
// hold with what the manifest's row and the filter say of them.
//
// A row that lies hides keys, and so does a filter that denies them: reads believe both, each being under a checksum.
//
// Errors     corruption, reported to the visitor once for each thing that is wrong; the first is kept.
// Lifetime   the sstable and the visitor outlive it. Memory: the pages of the filter.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "levels/sstable.h"
#include "table_store.h"

namespace cambium {

class SstableCheck final : public PageVisitor {
 public:
  SstableCheck(const Sstable& table, PageVisitor& visitor, std::string_view file);

  // Each page of the filter, in order, before the walk. `read`: whether it could be.
  void filter_page(std::uint32_t index, Status read, const char* page);
  // After a walk that found nothing: counts and bounds.
  void end();
  const Status& first_damage() const noexcept { return first_damage_; }

  Status visit(PageRun run, Generation birth) override { return visitor_.visit(run, birth); }
  void damaged(const DamagedPlace& place) override { visitor_.damaged(place); }
  Task<Status> leaf(const node::NodeView& leaf, Bytes low, Bytes high) override;
  Task<Status> pace(std::uint64_t pages_read) override { return visitor_.pace(pages_read + table_.filter.size()); }

 private:
  void found(PageId page, const char* what);
  bool denied(Bytes key) const noexcept;

  const Sstable& table_;
  PageVisitor& visitor_;
  std::string_view file_;
  FilterShape shape_;
  std::vector<std::unique_ptr<char[]>> filter_;  // null: it could not be read, or is not of this filter
  std::vector<char> key_;
  std::string first_key_;
  std::string last_key_;
  std::uint64_t tombstones_ = 0;
  bool outside_ = false;  // told already
  bool hidden_ = false;
  Status first_damage_;
};

}  // namespace cambium
