// SPDX-License-Identifier: MIT OR Apache-2.0
// Making, renaming and dropping tables: the changes of the catalog that are not the roots of a flush.
//
// Each is durable when it completes: a commit of its own, shared by all that wait at that moment. That is the simple
// way that is safe: a row is there, in both superblocks where there is a log, before any record of the log can name the
// table's number; and no number is ever given out twice, since the counter is in the superblock of the same commit.
//
//   request -> round: judged by the tables as they are, at most one request per name -> commit -> the set changes
//
// Making a table overtakes writes that are still buffered: an empty table more is no harm. The others do not: whoever
// fills one table and then gives it the name of another, or drops that, must not find neither after a crash. Only on a
// full device a drop goes ahead, for it makes the room that those writes wait for.
//
// A drop turns the table's row into one of another kind; flush/table_remover frees its pages afterwards.
//
// Invariants
//   1. The set of tables changes in the same step in which the commit that says so becomes visible, or not at all.
//   2. Requests for one name take effect in the order in which they reached a round.
//
// Errors     as Partition's functions say; an error of the commit goes to everybody in its round, and changed nothing,
//            unless it poisoned the partition.
// Suspends   everything.
// Lifetime   every request holds the partition's gate, and lies in the frame that waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include <cambium/rt/op.h>
#include <cambium/rt/wait_queue.h>
#include <cambium/table.h>

#include "flush/publisher.h"

namespace cambium {

class PartitionState;

class Catalog {
 public:
  explicit Catalog(PartitionState& partition) noexcept : partition_(partition) {}

  // Requires: the names can be names, and the kind has a store.
  Op<Table> create(std::string name, TableOptions options, TableMode mode);
  Op<void> rename(std::string from, std::string to);
  Op<void> drop(std::string name);

 private:
  static constexpr std::size_t kRoundMax = 1000;  // requests of one commit: what its rows take stays small

  enum class Verb : std::uint8_t { create, rename, drop };
  struct Request {
    explicit Request(Verb what) noexcept : verb(what) {}
    Verb verb;
    TableOptions options;
    TableMode mode = TableMode::open_or_create;
    std::string name;
    std::string to;  // rename
    TableId id{};    // of the table to be made
    bool done = false;
    Status result;
    std::optional<Table> table;  // create: the answer
  };

  Task<void> carry_out(Request& request);
  Task<void> round();
  void gather(std::vector<Request*>& requests);
  bool settled(Request& request);
  Task<Status> commit(const std::vector<Request*>& requests);
  Task<Status> commit_edit(const CatalogEdit& edit, SpaceUse use);
  void add_rows(Request& request, CatalogEdit& edit);
  void apply(Request& request);
  static void finish(Request& request, const Status& result);

  PartitionState& partition_;
  std::deque<Request*> waiting_;
  bool in_round_ = false;
  rt::WaitQueue round_over_;
};

Table handle_of(const TableState& table) noexcept;

}  // namespace cambium
