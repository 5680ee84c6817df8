// SPDX-License-Identifier: MIT OR Apache-2.0
#include "levels/run_cursor.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace cambium {

Task<Status> RunCursor::seek(Bytes key, bool inclusive) {
  const std::size_t count = run_.tables.size();
  if (forward()) {
    table_ = key.empty() ? 0 : run_.lower_bound(key);
  } else {
    const std::size_t at = key.empty() ? count : run_.lower_bound(key);
    const bool from_here = at < count && !(key < Bytes(run_.tables[at]->min_key));
    table_ = from_here ? at + 1 : at;  // one above where to begin
    if (table_ == 0)
      table_ = count;  // nothing is below the key
    else
      --table_;
  }
  ended_ = table_ == count;
  if (ended_) co_return Status();
  Status done = co_await open_table(key, inclusive);
  while (done && !valid() && !at_end()) done = co_await next_page();
  co_return done;
}

std::span<const Entry> RunCursor::rest() const noexcept {
  if (cursor_ == nullptr || !cursor_->valid()) return {};
  std::span<const Entry> entries = cursor_->rest_of_page();
  if (trimmed_) {
    const Bytes low(run_.tables[table_]->min_key);
    if (entries.back().key < low) {
      const auto end =
          std::partition_point(entries.begin(), entries.end(), [&](const Entry& entry) { return !(entry.key < low); });
      entries = entries.first(static_cast<std::size_t>(end - entries.begin()));
    }
  }
  return entries;
}

Task<Status> RunCursor::open_table(Bytes key, bool inclusive) {
  const Sstable& table = *run_.tables[table_];
  trimmed_ = table.trimmed && !forward();
  cursor_ = trees_.cursor(table.root, options_);
  const bool from_trim = table.trimmed && forward() && (key.empty() || key < Bytes(table.min_key));
  Status done = co_await cursor_->seek(from_trim ? Bytes(table.min_key) : key, from_trim || inclusive);
  co_return named(std::move(done));
}

Status RunCursor::named(Status done) const {
  if (done) return done;
  return done.error().within(rt::str("sstable ", static_cast<std::uint64_t>(run_.tables[table_]->id)));
}

Task<Status> RunCursor::next_page() {
  Status done;
  if (!table_done()) {
    done = co_await cursor_->next_page();
    done = named(std::move(done));
  } else if (has_next_table()) {
    table_ = forward() ? table_ + 1 : table_ - 1;
    done = co_await open_table(Bytes(), true);
  }
  co_return done;
}

bool RunCursor::try_next_page() { return table_done() ? !has_next_table() : cursor_->try_next_page(); }

}  // namespace cambium
