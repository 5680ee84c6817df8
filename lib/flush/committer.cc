// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/committer.h"

#include "base/planted_bug.h"
#include "base/text.h"
#include "flush/partition_log.h"
#include "space/superblock_store.h"

namespace cambium {

Task<Status> Committer::sync() {
  const std::int64_t began_ns = device_.core().now_ns();
  Status synced = co_await device_.sync();
  if (CAMBIUM_PLANTED(sync_retried) && !synced) synced = co_await device_.sync();
  stats_.sync_ns += static_cast<std::uint64_t>(device_.core().now_ns() - began_ns);
  co_return synced;
}

const Status& Committer::poison() const noexcept {
  if (!poison_) return poison_;
  return log_ != nullptr && log_->failed() ? log_->error() : space_.trust();
}

// What the log had at the device is in doubt as well: its own next sync would say nothing of it.
Status Committer::poisoned_by(Status cause) {
  poison_ = cause;
  if (log_ != nullptr) log_->poison(cause);
  return cause;
}

// Out of space leaves the partition as it was; any other failure while writing leaves the device in a state we do not
// know, and poisons.
Status Committer::abort(Status cause) {
  space_.aborted();
  return cause.code() != Errc::no_space ? poisoned_by(std::move(cause)) : cause;
}

Task<Status> Committer::commit(PageWriter& writer, Change change) {
  if (poisoned()) {  // the log may have failed while the pages were built
    const Status cause = poison();
    co_await writer.abandon();
    space_.aborted();
    co_return cause;
  }
  format::Superblock next = record_;
  next.page.generation = raw(CAMBIUM_PLANTED(generation_stands_still) ? newest() : building());
  next.catalog = change.catalog;
  next.catalog_height = change.catalog_height;
  next.catalog_pages = change.catalog_pages;
  next.sequence = raw(change.sequence);
  next.next_table_id = change.next_table_id;
  next.features_needed |= change.features_needed;

  // (1) Every page of the new version is at the device, at full length.
  //     Crash: pages nobody refers to; the newest superblock is the old version.
  Status done = co_await writer.finish();
  if (!done) co_return abort(done);

  // (2) The bitmaps that changed, into their other slots. Crash: as (1).
  done = co_await space_.write_changes(Generation{next.page.generation}, next, pages_);
  if (!done) co_return abort(done);

  // (3) - (5)
  done = co_await write_record(next);
  co_return done;
}

Task<Status> Committer::touch() {
  if (poisoned()) co_return poison();
  format::Superblock next = record_;
  next.page.generation = raw(building());
  Status done = co_await space_.write_changes(Generation{next.page.generation}, next, pages_);
  if (!done) co_return abort(done);
  done = co_await write_record(next);
  co_return done;
}

Task<Status> Committer::write_record(format::Superblock next) {
  // Before the sync: where the log begins has to be durable when the superblock says so.
  if (log_ != nullptr) log_->describe(next);

  // (3) What the superblock will refer to is durable. Crash: as (1). A failure poisons: what reached the medium is
  //     unknown, and asking again would prove nothing.
  Status done;
  if (!CAMBIUM_PLANTED(superblock_before_data)) done = co_await sync();
  if (!done) {
    co_return CAMBIUM_PLANTED(sync_failure_forgotten) ? done : poisoned_by(done);
  }

  // (4) The superblock, both copies, into the slot with the older generation.
  //     Crash: that slot is torn or whole; torn, the other slot is the old version; whole, the new version is complete.
  const unsigned slot = CAMBIUM_PLANTED(newest_slot_overwritten) ? slot_ : 1 - slot_;
  done = co_await write_superblock(device_, next, slot, superblock_pages_);

  // (5) The new version is durable.
  if (done && !CAMBIUM_PLANTED(second_sync_missing)) done = co_await sync();
  if (!done) {
    co_return CAMBIUM_PLANTED(sync_failure_forgotten) ? done : poisoned_by(done);
  }

  // (6) From here on the new version is the partition; what the old one alone used waits for those who see it.
  record_ = next;
  slot_ = slot;
  space_.committed(Generation{next.page.generation}, slot);
  if (log_ != nullptr) log_->committed(next);
  ++stats_.commits;
  co_return Status();
}

}  // namespace cambium
