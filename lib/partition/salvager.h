// SPDX-License-Identifier: MIT OR Apache-2.0
// The work behind salvage(): superblock, catalog, tables, orphans, log, one after the other, from one device into one
// partition. What is taken and why is said in <cambium/salvage.h>.
//
// Invariants
//   1. Nothing is ever written to the device that is read.
//   2. A key is written once from the tree, or else once from an orphan; what the log says of it comes last.
//
// Suspends   begin() and run().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <cambium/salvage.h>

#include "cache/page_reader.h"
#include "format/superblock.h"
#include "levels/sstable.h"
#include "partition/lost_keys.h"
#include "partition/page_survey.h"
#include "partition/partition_state.h"
#include "table_store.h"

namespace cambium {

class Salvager final : private PageVisitor {
 public:
  explicit Salvager(BlockDevice& device);

  // Reads the superblocks and the catalog. Errors: unsupported: it is no partition, or of another version.
  Task<Status> begin();
  Task<Status> run(PartitionState& to);
  SalvageReport& report() noexcept { return report_; }

 private:
  struct SalvagedTable {
    TableId id;
    TableKind kind;
    std::string name;
    TableRoot root;
    LostKeys lost;
    TableState* target = nullptr;
  };
  // A leaf that no tree reaches, and that may hold lost keys.
  struct Orphan {
    Generation generation;
    PageId page;
    std::size_t table;
  };

  // PageVisitor, of the table being walked.
  Status visit(PageRun run, Generation birth) override;
  void damaged(const DamagedPlace& place) override;
  Task<Status> leaf(const node::NodeView& leaf, Bytes low, Bytes high) override;

  Task<Status> choose_version(std::vector<format::Superblock>& records);
  Task<Status> read_catalog(const format::Superblock& record, TableSet& tables, Status& whole);
  void take_tables(const TableSet& tables, const Status& catalog);
  Task<Status> guess_file_id();
  Task<Status> copy_log(PartitionState& to);
  Task<Status> make_tables(PartitionState& to);
  Task<Status> copy_table(SalvagedTable& table);
  Task<Status> copy_tree(const TableRoot& root, Bytes from);
  Task<Status> copy_sstables(SalvagedTable& table);
  Task<Status> take_row(Bytes key, const node::LeafEntry& row);
  Task<Status> search_orphans(std::vector<Orphan>& orphans);
  void consider(const char* page, std::uint64_t page_id, std::vector<Orphan>& orphans);
  Task<Status> copy_orphan(const Orphan& orphan);
  Task<Status> copy_entry(SalvagedTable& table, Bytes key, const node::LeafEntry& entry, bool& readable);
  bool readable_leaf(const char* page, std::uint64_t page_id) const noexcept;

  BlockDevice& device_;
  PageReader reader_;
  std::uint64_t file_pages_;
  std::vector<bool> everything_;  // what the survey is compared with: the old space map is not asked
  PageSurvey survey_;
  Generation newest_{~std::uint64_t{0}};
  std::optional<format::Superblock> chosen_;  // what the tables were taken from; none: no superblock is left
  std::vector<SalvagedTable> tables_;
  SalvagedTable* walked_ = nullptr;
  std::string from_;  // of the tree being walked: keys below are no part of it
  std::optional<std::vector<std::pair<SstablePtr, SstablePlace>>> rows_;  // while a manifest is walked
  PartitionState* to_ = nullptr;
  std::vector<char> key_;
  SalvageReport report_;
};

}  // namespace cambium
