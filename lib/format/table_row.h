// SPDX-License-Identifier: MIT OR Apache-2.0
// A row of the catalog, the small tree that says which tables a partition has and where their roots are.
//
// Key: u8 row kind, then u32 big-endian table id. 'T' is a table; 'D' one that was dropped, whose root holds what is
// left to be freed: it has no name any more, the one in its row is for messages. Value:
//
//   offset size field
//   0      1    kind        TableKind
//   1      1    height      levels of the tree, 0 = empty
//   2      2    name_bytes
//   4      1    index       TableIndex, of a table of kind levels
//   5      1    compression Compression, likewise
//   6      2    reserved    zero
//   8      16   root        ChildPointer
//   24     8    node_pages      pages of the tree
//   32     8    overflow_pages  pages of its overflow extents
//   40     ..   name
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <cambium/ids.h>

#include "format/child_pointer.h"
#include "format/packed_leaf_page.h"

namespace cambium::format {

inline constexpr char kTableRowKind = 'T';
inline constexpr char kDroppedRowKind = 'D';
inline constexpr std::size_t kTableRowKeyBytes = 5;

using cambium::TableIndex;
using cambium::TableKind;
static_assert(sizeof(TableKind) == 1 && static_cast<int>(TableKind::tree) == 0 &&
              static_cast<int>(TableKind::levels) == 1);
static_assert(sizeof(TableIndex) == 1 && static_cast<int>(TableIndex::automatic) == 0 &&
              static_cast<int>(TableIndex::plain) == 1 && static_cast<int>(TableIndex::learned) == 2);

struct TableRow {
  TableKind kind;
  std::uint8_t height;
  std::uint16_t name_bytes;
  TableIndex index;
  Compression compression;
  std::uint8_t reserved[2];
  ChildPointer root;
  std::uint64_t node_pages;
  std::uint64_t overflow_pages;
};
static_assert(sizeof(TableRow) == 40 && offsetof(TableRow, root) == 8 && offsetof(TableRow, node_pages) == 24);
static_assert(std::has_unique_object_representations_v<TableRow>, "no padding on disk");

}  // namespace cambium::format
