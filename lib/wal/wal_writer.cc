// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/wal_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace cambium {

using format::kWalBlockBytes;
using format::kWalGroupHeaderBytes;
using format::WalEntryHeader;
using format::WalGroupHeader;
using format::WalRecordHeader;
using format::WalSegmentHeader;

namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr std::int64_t kGatherNs = 20'000;  // for those whose durability has come, to append again

std::vector<std::uint32_t> free_pages(const WalLayout& layout, const WalReplay& replayed) {
  std::vector<std::uint32_t> free;
  for (const std::uint32_t page : layout.first_pages) {
    const auto& live = replayed.live_pages;
    if (std::find(live.begin(), live.end(), page) == live.end()) free.push_back(page);
  }
  return free;
}

WalEntryHeader header_of(const WalEntry& entry) noexcept {
  CAMBIUM_ASSERT(entry.key.size() >= kKeyBytesMin && entry.key.size() <= kKeyBytesMax);
  CAMBIUM_ASSERT(entry.value.size() <= kValueBytesMax);
  CAMBIUM_ASSERT(entry.kind != WalEntryKind::del || entry.value.empty());
  return {.kind = entry.kind,
          .flags = 0,
          .key_bytes = static_cast<std::uint16_t>(entry.key.size()),
          .value_bytes = static_cast<std::uint32_t>(entry.value.size()),
          .table_id = raw(entry.table)};
}

char* copied(char* to, const void* from, std::size_t bytes) noexcept {
  std::memcpy(to, from, bytes);
  return to + bytes;
}

}  // namespace

WalWriter::WalWriter(BlockDevice& device, const WalLayout& layout, const WalReplay& replayed, const WalStaging& staging,
                     const WalPolicy& policy)
    : device_(device),
      core_(device.core()),
      layout_(layout),
      policy_(policy),
      staging_(staging),
      segments_(replayed.first_ordinal, replayed.live_pages, free_pages(layout, replayed)),
      ledger_(replayed.end_position, replayed.last_sequence),
      marks_(layout.canonical(layout.start_position), Sequence{1}),
      groups_(std::make_unique<Group[]>(staging.count)),
      tail_(replayed.end_position),
      synced_recorded_(replayed.end_position),
      last_appended_(replayed.last_sequence) {
  CAMBIUM_ASSERT(staging.count >= WalStaging::kCountMin && staging.count <= WalStaging::kCountMax);
  CAMBIUM_ASSERT(staging.bytes >= 2 * kWalBlockBytes && staging.bytes <= format::kWalGroupBytesMax &&
                 staging.bytes % kWalBlockBytes == 0);
  CAMBIUM_ASSERT(tail_ % kWalBlockBytes == 0 && tail_ == layout.canonical(tail_));
  CAMBIUM_ASSERT(layout_.offset_of(tail_) == 0 || segments_.next_ordinal() == layout_.ordinal_of(tail_) + 1);
  layout_.start_position = layout.canonical(layout.start_position);
  layout_.first_pages.clear();
  marks_.add(tail_, next(last_appended_));
  free_groups_.reserve(staging.count);
  closed_.reserve(staging.count);
  for (std::size_t i = staging.count; i != 0; --i) {
    groups_[i - 1].writer = this;
    groups_[i - 1].data = staging.memory + (i - 1) * staging.bytes;
    free_groups_.push_back(&groups_[i - 1]);
  }
}

WalWriter::~WalWriter() {
  CAMBIUM_ASSERT(idle());
  CAMBIUM_ASSERT(waiters_.empty() && room_.empty() && !large_);
}

// ---- records ------------------------------------------------------------------------------------------------------

bool WalWriter::append(Sequence first, std::span<const WalEntry> entries) noexcept {
  CAMBIUM_ASSERT(!entries.empty() && (large_ || first == next(last_appended_)));
  const std::uint64_t body_bytes = wal_body_bytes(entries);
  CAMBIUM_ASSERT(body_bytes <= kWalBodyBytesMax);
  const std::uint64_t bytes = sizeof(WalRecordHeader) + body_bytes;
  if (large_ || !error_) [[unlikely]] {
    ++stats_.refusals;
    return false;
  }
  const WalRecordHeader header{static_cast<std::uint32_t>(body_bytes), static_cast<std::uint32_t>(entries.size()),
                               raw(first)};
  if (filling_ != nullptr && bytes <= filling_->capacity - filling_->used) [[likely]] {
    begin_record(first);
    char* to = filling_->payload() + filling_->used;
    to = copied(to, &header, sizeof header);
    for (const WalEntry& entry : entries) {
      const WalEntryHeader entry_header = header_of(entry);
      to = copied(to, &entry_header, sizeof entry_header);
      to = copied(to, entry.key.data(), entry.key.size());
      to = copied(to, entry.value.data(), entry.value.size());
    }
    filling_->used += static_cast<std::uint32_t>(bytes);
    CAMBIUM_ASSERT(to == filling_->payload() + filling_->used);
  } else {
    if (bytes > payload_room(free_groups_.size())) {
      ++stats_.refusals;
      return false;
    }
    begin_record(first);
    put(&header, sizeof header);
    for (const WalEntry& entry : entries) {
      const WalEntryHeader entry_header = header_of(entry);
      put(&entry_header, sizeof entry_header);
      put(entry.key.data(), entry.key.size());
      put(entry.value.data(), entry.value.size());
    }
  }
  end_record(entries);
  return true;
}

Task<Status> WalWriter::append_large(Sequence first, std::span<const WalEntry> entries) {
  CAMBIUM_ASSERT(!large_ && !entries.empty() && first == next(last_appended_));
  const std::uint64_t body_bytes = wal_body_bytes(entries);
  CAMBIUM_ASSERT(body_bytes <= kWalBodyBytesMax);
  if (!error_) co_return error_;
  // Groups are full while this runs, and nobody else appends: what fits now, fits.
  const std::uint64_t room = bytes_free();
  if (sizeof(WalRecordHeader) + body_bytes > room) {
    co_return Error(Errc::no_space, rt::str("a batch of ", body_bytes, " bytes does not fit the ", room,
                                            " bytes that the log of ", device_.name(), " has left"));
  }
  large_ = true;
  const WalRecordHeader header{static_cast<std::uint32_t>(body_bytes), static_cast<std::uint32_t>(entries.size()),
                               raw(first)};
  while (error_ && !ready()) {
    pump();
    if (free_groups_.empty()) (void)co_await room_.wait();
  }
  Status fed = error_;
  if (fed) {
    begin_record(first);
    fed = co_await feed(reinterpret_cast<const char*>(&header), sizeof header);
  }
  for (std::size_t i = 0; fed && i < entries.size(); ++i) {
    const WalEntryHeader entry_header = header_of(entries[i]);
    fed = co_await feed(reinterpret_cast<const char*>(&entry_header), sizeof entry_header);
    if (fed) fed = co_await feed(entries[i].key.data(), entries[i].key.size());
    if (fed) fed = co_await feed(entries[i].value.data(), entries[i].value.size());
  }
  large_ = false;
  if (fed) end_record(entries);
  room_.wake_all();
  co_return fed;
}

// A failure in the middle leaves an incomplete record; the error has poisoned the writer, and a replay cuts it.
Task<Status> WalWriter::feed(const char* bytes, std::size_t count) {
  while (count != 0 && error_) {
    const std::size_t taken = put_some(bytes, count);
    CAMBIUM_ASSERT(taken != 0 || free_groups_.empty());
    bytes += taken;
    count -= taken;
    if (count != 0) {
      pump();
      if (free_groups_.empty()) (void)co_await room_.wait();
      if (core_.over_budget()) co_await core_.yield();
    }
  }
  co_return error_;
}

WalRoom WalWriter::room_for(std::uint64_t body_bytes) const noexcept {
  if (!error_) return WalRoom::failed;
  if (large_) return WalRoom::staging;
  const std::uint64_t bytes = sizeof(WalRecordHeader) + body_bytes;
  if (bytes <= payload_room(free_groups_.size())) return WalRoom::yes;
  const std::size_t at_rest = staging_.count - (filling_ != nullptr ? 1 : 0);
  if (bytes <= payload_room(at_rest)) return WalRoom::staging;
  if (bytes <= payload_room(at_rest, format::kWalSegmentsMax)) return WalRoom::segments;
  return bytes <= bytes_free() ? WalRoom::large : WalRoom::segments;
}

void WalWriter::begin_record(Sequence first) noexcept {
  record_first_ = first;
  const bool open = ready();
  CAMBIUM_ASSERT(open);
  if (filling_->first_record == kNone) {
    filling_->first_record = filling_->used;
    marks_.add(layout_.canonical(filling_->position), first);
  }
}

void WalWriter::end_record(std::span<const WalEntry> entries) noexcept {
  const Sequence last{raw(record_first_) + entries.size() - 1};
  if (filling_->first_ended == Sequence{}) filling_->first_ended = record_first_;
  filling_->last_ended = last;
  last_appended_ = last;
  ++stats_.records;
  unwanted_bytes_ += sizeof(WalRecordHeader) + wal_body_bytes(entries);
  if (policy_.bytes != 0 && unwanted_bytes_ >= policy_.bytes) request_durable(last);
  if (policy_.interval_ms != 0 && !interval_timer_.armed()) {
    interval_timer_.arm(
        core_, core_.now_ns() + policy_.interval_ms * kNsPerMs,
        [](void* writer) noexcept {
          auto& self = *static_cast<WalWriter*>(writer);
          self.request_durable(self.last_appended_);
        },
        this);
  }
  schedule_pump();
}

void WalWriter::put(const void* bytes, std::size_t count) noexcept {
  const auto* from = static_cast<const char*>(bytes);
  while (count != 0) {
    const std::size_t taken = put_some(from, count);
    CAMBIUM_ASSERT(taken != 0);
    from += taken;
    count -= taken;
  }
}

// Copies what fits into the group being filled, or into the next one; 0 when there is none.
std::size_t WalWriter::put_some(const char* bytes, std::size_t count) noexcept {
  if (!ready()) return 0;
  const auto taken = static_cast<std::uint32_t>(std::min<std::size_t>(count, filling_->capacity - filling_->used));
  std::memcpy(filling_->payload() + filling_->used, bytes, taken);
  filling_->used += taken;
  return taken;
}

// ---- groups -------------------------------------------------------------------------------------------------------

bool WalWriter::ready() noexcept {
  if (filling_ != nullptr && filling_->used == filling_->capacity) close_group();
  return filling_ != nullptr || open_group();
}

bool WalWriter::open_group() noexcept {
  const bool opens_segment = layout_.offset_of(tail_) == 0;
  if (free_groups_.empty() || (opens_segment && segments_.free_count() == 0)) return false;
  Group& group = *free_groups_.back();
  free_groups_.pop_back();
  if (opens_segment) {
    segments_.open(layout_.ordinal_of(tail_));
    ++stats_.segments_opened;
  }
  group.lead_bytes = opens_segment ? kWalBlockBytes : 0;
  group.position = tail_ + group.lead_bytes;
  const std::uint64_t segment_offset = layout_.offset_of(group.position);
  const std::uint64_t room =
      std::min<std::uint64_t>(staging_.bytes - group.lead_bytes, layout_.segment_bytes() - segment_offset);
  group.capacity = static_cast<std::uint32_t>(room) - kWalGroupHeaderBytes;
  group.used = 0;
  group.first_record = kNone;
  group.first_ended = group.last_ended = Sequence{};
  group.last_before = last_appended_;
  group.offset =
      wal_file_offset(segments_.first_page_of(layout_.ordinal_of(group.position))) + segment_offset - group.lead_bytes;
  group.busy = true;
  filling_ = &group;
  return true;
}

void WalWriter::close_group() noexcept {
  Group& group = *filling_;
  const std::uint32_t bytes = format::wal_group_bytes(group.used);
  std::memset(group.payload() + group.used, 0, bytes - kWalGroupHeaderBytes - group.used);
  if (group.first_record == kNone) group.first_record = group.used;
  tail_ = group.end();
  closed_.push_back(&group);
  filling_ = nullptr;
}

// Payload that fits into the group being filled and `buffers` more, in the segments there are.
std::uint64_t WalWriter::payload_room(std::size_t buffers, std::size_t more_segments) const noexcept {
  std::uint64_t room = 0;
  std::uint64_t at = tail_;
  std::size_t segments = segments_.free_count() + more_segments;
  if (filling_ != nullptr) {
    room = filling_->capacity - filling_->used;
    at = filling_->position + format::wal_group_bytes(filling_->capacity);
  }
  for (; buffers != 0; --buffers) {
    std::uint64_t lead = 0;
    if (layout_.offset_of(at) == 0) {
      if (segments == 0) break;
      --segments;
      lead = kWalBlockBytes;
    }
    const std::uint64_t bytes = std::min(staging_.bytes - lead, layout_.segment_bytes() - layout_.offset_of(at + lead));
    room += bytes - kWalGroupHeaderBytes;
    at += lead + bytes;
  }
  return room;
}

// ---- the device ---------------------------------------------------------------------------------------------------

// Appends of one turn share a group: a timer that is due fires once everything runnable now has run.
void WalWriter::schedule_pump() noexcept {
  if ((pump_timer_.armed() && !gathering_) || in_flight_ == kInFlightMax) return;  // a completion pumps, too
  gathering_ = false;
  arm_pump(core_.now_ns());
}

void WalWriter::arm_pump(std::int64_t deadline_ns) noexcept {
  pump_timer_.arm(core_, deadline_ns, [](void* writer) noexcept { static_cast<WalWriter*>(writer)->pump(); }, this);
}

// What is being filled goes out when it is full, when somebody waits for it, or when it is no use to hold it longer.
bool WalWriter::leaves_now() const noexcept {
  if (filling_ == nullptr || filling_->used == 0) return false;
  if (filling_->used == filling_->capacity) return true;
  if (large_) return false;  // append_large() counts on full groups
  return filling_->last_before < wanted_ ? worth_a_write() : filling_->used >= policy_.lazy_bytes;
}

// A group beside one in flight spares those in it the rest of that flight, but two at once are slower than one after
// the other, and clients that come back when theirs is durable would stay divided between the two for ever: 32 of them
// had 183 k puts/s so, and 290 k in one group. So it leaves while the flight is young; later it waits for its end.
bool WalWriter::worth_a_write() const noexcept {
  return in_flight_ == 0 || core_.now_ns() - flight_began_ns_ <= flight_ns_ / 2;
}

void WalWriter::pump() noexcept {
  if (std::exchange(gathering_, false)) pump_timer_.disarm();
  while (error_ && in_flight_ < kInFlightMax && !ledger_.full()) {
    if (closed_.empty()) {
      if (!leaves_now()) break;
      close_group();
    }
    submit(*closed_.pop_front());
  }
  if (error_ && ledger_.sync_due(wanted_)) {
    ledger_.begin_sync();
    ++stats_.syncs;
    sync_.writer = this;
    sync_.request = {};
    sync_.request.io = {.kind = rt::IoKind::sync};
    sync_.request.done = [](DeviceRequest& request) noexcept { reinterpret_cast<Sync&>(request).writer->synced(); };
    device_.submit(sync_.request);
  }
}

void WalWriter::seal(Group& group) noexcept {
  const std::uint64_t ordinal = layout_.ordinal_of(group.position);
  if (group.lead_bytes != 0) {
    std::memset(group.data, 0, kWalBlockBytes);
    auto& segment = *reinterpret_cast<WalSegmentHeader*>(group.data);
    segment.segment_pages = layout_.segment_pages;
    segment.magic = format::kWalMagic;
    segment.log_id = layout_.log_id;
    segment.ordinal = ordinal;
    segment.previous_end = layout_.begin_of(ordinal);
    segment.checksum = format::wal_checksum(segment);
  }
  auto& header = *reinterpret_cast<WalGroupHeader*>(group.header());
  header.payload_bytes = group.used;
  header.log_id = layout_.log_id;
  header.position = group.position;
  header.synced_position = ledger_.durable_position();
  header.first_sequence = raw(group.first_ended);
  header.last_sequence = raw(group.last_ended);
  header.first_record = group.first_record;
  header.flags = resumed_ ? format::kWalGroupResumed : 0;
  header.reserved = 0;
  header.checksum = format::wal_group_checksum(group.header());
  synced_recorded_ = header.synced_position;
  resumed_ = false;
}

void WalWriter::submit(Group& group) noexcept {
  seal(group);
  const std::uint32_t bytes = group.lead_bytes + format::wal_group_bytes(group.used);
  const bool durable = group.last_before < wanted_;
  ledger_.submit(group.end(), group.last(), durable);
  ++in_flight_;
  ++stats_.groups;
  stats_.groups_durable += durable ? 1 : 0;
  stats_.payload_bytes += group.used;
  stats_.device_bytes += bytes;
  const auto size_class = static_cast<std::size_t>(std::bit_width((bytes - 1) / kWalBlockBytes));
  ++stats_.groups_by_size[std::min(size_class, stats_.groups_by_size.size() - 1)];
  group.began_ns = flight_began_ns_ = core_.now_ns();
  group.request = {};
  group.request.io = {.kind = rt::IoKind::write,
                      .durable = durable,
                      .buffer_index = rt::BufferArena::index_in(staging_.arena, group.data, bytes),
                      .bytes = bytes,
                      .offset = group.offset,
                      .data = group.data};
  group.request.done = [](DeviceRequest& request) noexcept {
    auto& done = reinterpret_cast<Group&>(request);
    done.writer->completed(done);
  };
  device_.submit(group.request);
}

void WalWriter::completed(Group& group) noexcept {
  --in_flight_;
  if (group.request.error != 0) {  // it stays busy: nobody knows what of it is at the device
    fail(device_.status_of(group.request));
    return;
  }
  group.busy = false;
  free_groups_.push_back(&group);
  flight_ns_ = core_.now_ns() - group.began_ns;
  ledger_.complete(group.end());
  release_segments();
  progressed();
}

void WalWriter::synced() noexcept {
  if (sync_.request.error != 0) {
    ledger_.abandon_sync();
    fail(device_.status_of(sync_.request));
    return;
  }
  ledger_.end_sync();
  progressed();
}

void WalWriter::progressed() noexcept {
  bool woken = false;
  while (error_ && !waiters_.empty() && waiters_.front().sequence_ <= ledger_.durable_sequence()) {
    waiters_.pop_front().resumption_.schedule();
    woken = true;
  }
  room_.wake_all();
  progress_.wake_all();
  // Whoever was woken may append again, and shares the group that waits then: the first append ends the wait for it.
  if (!woken || filling_ == nullptr || !closed_.empty()) return pump();
  gathering_ = true;
  arm_pump(core_.now_ns() + kGatherNs);
}

// The first error is everybody's, whatever else completes afterwards.
void WalWriter::fail(Status error) noexcept {
  if (error_) error_ = std::move(error);
  pump_timer_.disarm();
  interval_timer_.disarm();
  while (!waiters_.empty()) {
    DurableAwaiter& waiter = waiters_.pop_front();
    waiter.status_ = error_;
    waiter.resumption_.schedule();
  }
  room_.wake_all();
  progress_.wake_all();
}

// ---- durability ---------------------------------------------------------------------------------------------------

void WalWriter::request_durable(Sequence sequence) noexcept {
  CAMBIUM_ASSERT(sequence <= last_appended_);
  if (sequence == last_appended_) {
    unwanted_bytes_ = 0;
    interval_timer_.disarm();
  }
  if (sequence <= wanted_ || !error_) return;
  wanted_ = sequence;
  if (ledger_.durable_sequence() < wanted_) schedule_pump();
}

bool WalWriter::DurableAwaiter::await_ready() noexcept {
  CAMBIUM_ASSERT(sequence_ <= writer_.last_appended_);
  if (sequence_ <= writer_.durable()) return true;
  status_ = writer_.error_;
  return !status_;
}

void WalWriter::DurableAwaiter::await_suspend(std::coroutine_handle<> caller) noexcept {
  resumption_.suspend(writer_.core_, caller);
  writer_.waiters_.push_back(*this);
  ++writer_.stats_.waits;
}

// The first group that follows says that sequences have moved on, as the first one after a recovery does.
void WalWriter::skip_to(Sequence sequence) noexcept {
  CAMBIUM_ASSERT(filling_ == nullptr && closed_.empty() && !large_);
  CAMBIUM_ASSERT(durable() == last_appended_ && sequence >= last_appended_);
  ledger_.skip_to(sequence);
  last_appended_ = sequence;
  resumed_ = true;
}

Task<Status> WalWriter::finish() {
  CAMBIUM_ASSERT(!large_);
  request_durable(last_appended_);
  pump();
  while (error_ && ledger_.durable_sequence() < last_appended_) (void)co_await progress_.wait();
  while (!idle()) (void)co_await progress_.wait();
  if (error_ && ledger_.durable_position() > synced_recorded_ && open_group()) {
    close_group();
    pump();
    while (!idle()) (void)co_await progress_.wait();
  }
  pump_timer_.disarm();
  interval_timer_.disarm();
  co_return error_;
}

// ---- segments -----------------------------------------------------------------------------------------------------

void WalWriter::add_segment(std::uint32_t first_page) noexcept {
  segments_.add_free(first_page);
  room_.wake_all();
}

std::uint64_t WalWriter::position_of(Sequence sequence) const noexcept {
  const bool all = sequence >= last_appended_ && filling_ == nullptr && !large_;
  const std::uint64_t position = all ? tail_ : marks_.position_of(sequence);
  // Inside a segment whose header is still on its way nothing can begin: a replay would not find the segment. Headers
  // of later segments may have overtaken it.
  std::uint64_t found = position;
  for (std::size_t i = 0; i < staging_.count; ++i) {
    const Group& group = groups_[i];
    const bool missing =
        group.busy && group.lead_bytes != 0 && layout_.ordinal_of(group.position) == layout_.ordinal_of(position);
    if (missing) found = layout_.begin_of(layout_.ordinal_of(position));
  }
  return std::max(found, layout_.start_position);
}

void WalWriter::advance_start(std::uint64_t position) noexcept {
  CAMBIUM_ASSERT(position % kWalBlockBytes == 0 && position <= tail_);
  layout_.start_position = std::max(layout_.start_position, layout_.canonical(position));
  marks_.drop_before(layout_.start_position);
  release_segments();
}

// Not while a group is on its way into them: its write could land after one of the next ordinal.
void WalWriter::release_segments() noexcept {
  std::uint64_t keep = layout_.ordinal_of(layout_.start_position);
  for (std::size_t i = 0; i < staging_.count; ++i) {
    if (groups_[i].busy) keep = std::min(keep, layout_.ordinal_of(groups_[i].position));
  }
  if (segments_.release_before(keep)) room_.wake_all();
}

std::uint64_t WalWriter::bytes_used() const noexcept { return tail_ - layout_.start_position; }

std::uint64_t WalWriter::bytes_free() const noexcept { return payload_room(~std::size_t{0}); }

WalLayout WalWriter::layout() const {
  WalLayout layout = layout_;
  layout.first_pages = segments_.first_pages();
  return layout;
}

LogRange WalWriter::durable_range(Sequence in_tables) const {
  LogRange range;
  range.layout = layout_;
  range.end_position = std::max(ledger_.durable_position(), layout_.start_position);
  range.in_tables = in_tables;
  range.last = ledger_.durable_sequence();
  std::uint64_t ordinal = layout_.ordinal_of(layout_.start_position);
  for (; ordinal < segments_.next_ordinal(); ++ordinal) range.chain.push_back(segments_.first_page_of(ordinal));
  return range;
}

}  // namespace cambium
