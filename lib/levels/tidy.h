// SPDX-License-Identifier: MIT OR Apache-2.0
// Tidying: one sstable once more, in its own place, without the entries that newer runs hide.
//
// What a full device is left with. A merge needs room for all that it keeps before its inputs go; this needs room for
// what one sstable keeps, which is less than the sstable has. The tombstones stay where they are, until a merge finds
// room again.
//
// Errors     no_space: nothing would be gained, or what is kept does not fit; as reading and writing.
// Suspends   everywhere; yields.
#pragma once

#include <cambium/rt/task.h>

#include "levels/level_store.h"

namespace cambium {

// May newer runs hide some of it? Looks at bounds only.
bool may_be_tidied(const LevelVersion& version, const LevelRun& run, const Sstable& table) noexcept;

// Builds it through a writer that builds ahead: `edit` is to be published, in a version in which the runs that are
// newer hold what they do now, or newer entries. Requires: the view of `root` is held.
Task<Status> tidy_sstable(LevelStore& store, const TableRoot& root, SstableId id, PageWriter& writer, LevelEdit& edit);

}  // namespace cambium
