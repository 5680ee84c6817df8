// SPDX-License-Identifier: MIT OR Apache-2.0
#include "partition/log_salvage.h"

#include <algorithm>
#include <string>

#include <cambium/rt/check.h>

#include "base/text.h"
#include "wal/log_survey.h"
#include "wal/log_verifier.h"
#include "wal/wal_layout.h"

namespace cambium {

Task<Status> LogSalvage::run() {
  if (record_.wal_log_id == 0 || (record_.wal_flags & format::kWalClean) != 0) co_return Status();
  const WalLayout layout = wal_layout_of(record_);
  Result<LogRange> range = co_await survey_log(device_, layout, taken_, *this);
  if (!range && range.code() != Errc::corruption) co_return range.error();
  if (!range) {
    report_.log_damage = std::string(range.error().message());
    lose(Sequence{});
    co_return Status();
  }
  LogVerifier walk(device_, *range, *this);
  while (!walk.done()) {
    co_await check(walk.step());
    if (device_.core().over_budget()) co_await device_.core().yield();
  }
  const bool behind = unclear_ || missing_through_ > taken_;
  if (gap_ || behind) lose(unclear_ ? Sequence{} : std::max(missing_through_, range->last));
  co_return Status();
}

void LogSalvage::lose(Sequence last) {
  report_.log_lost_from = next(taken_);
  report_.log_lost_to = last;
}

void LogSalvage::damaged(const LogDamage& damage) {
  if (report_.log_damage.empty()) report_.log_damage = damage.reason;
  if (damage.first == Sequence{}) return;
  if (damage.last == Sequence{}) unclear_ = true;
  missing_through_ = std::max(missing_through_, damage.last);
}

bool LogSalvage::take(const WalRecord& record) {
  gap_ = gap_ || record.first_sequence > next(taken_);
  return gap_ || record.last_sequence() <= taken_;
}

Task<Status> LogSalvage::store(const WalRecord& record) {
  for (const WalEntry& entry : record.entries) {
    const auto table = tables_.find(entry.table);
    if (table == tables_.end() || entry.kind == WalEntryKind::merge) {
      ++report_.log_left_out;
      continue;
    }
    const WriteKind kind = entry.kind == WalEntryKind::put ? WriteKind::put : WriteKind::del;
    Op<void> stored = to_.write_one(*table->second, entry.key, entry.value, kind, {});
    Status status = co_await stored;
    if (!status) co_return status;
    ++report_.log_writes;
  }
  taken_ = record.last_sequence();
  co_return Status();
}

}  // namespace cambium
