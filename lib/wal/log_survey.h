// SPDX-License-Identifier: MIT OR Apache-2.0
// survey_log(): what the segments of a log hold that nobody writes, whole or not: which of them has which ordinal, and
// how far the log was synced at the least. For whoever has to know more than that a replay refuses it.
//
// The log is walked from its begin to the first place where no whole group stands; from there on, every block of every
// segment that is none of it is looked at. A segment whose header is lost is known by the groups in it; what was
// synced, by the groups beyond the end that say so: the same proof, from the same blocks, by which replay()
// (wal/tail_scan.h) tells damage from a torn tail.
//
// Errors     resource; corruption of a layout that no log has. Damage goes to the visitor: two segments of one ordinal,
//            a begin that lies in no segment; what cannot be read counts as empty, and LogVerifier will say so.
// Suspends   survey_log().
#pragma once

#include <cambium/rt/block_device.h>
#include <cambium/rt/result.h>
#include <cambium/rt/task.h>

#include "wal/log_range.h"

namespace cambium {

// `in_tables`: every write up to it is in the tables. The range is open-ended.
Task<Result<LogRange>> survey_log(BlockDevice& device, const WalLayout& layout, Sequence in_tables,
                                  LogVisitor& visitor);

}  // namespace cambium
