// SPDX-License-Identifier: MIT OR Apache-2.0
#include "lsm/ycsb_client.h"

namespace cambium::bench {
namespace {

constexpr unsigned kStampClientShift = 40;  // updates of one client, below its number

}  // namespace

YcsbClient::YcsbClient(const YcsbPlan& plan, const Rows& rows, const Zipfian& latest, InsertCounter& inserts,
                       KeyShare share, std::uint64_t operations, std::uint64_t seed)
    : plan_(plan),
      rows_(rows),
      latest_(latest),
      inserts_(inserts),
      share_(share),
      left_(operations),
      random_(seed),
      stamp_((std::uint64_t{share.client} + 1) << kStampClientShift) {}

YcsbClient::Step YcsbClient::draw_step() {
  const Mix& mix = plan_.mix;
  double rest = static_cast<double>(random_.next() >> 11) * 0x1.0p-53;
  if ((rest -= mix.reads) < 0) return Step::read;
  if ((rest -= mix.updates) < 0) return Step::update;
  if ((rest -= mix.inserts) < 0) return Step::insert;
  if ((rest -= mix.scans) < 0) return Step::scan;
  return mix.read_modify_writes > 0 ? Step::read_before_update : mix.scans > 0 ? Step::scan : Step::read;
}

void YcsbClient::draw_record() {
  do {
    const std::uint64_t last = inserts_.last();
    if (plan_.mix.requests == Requests::latest) {
      number_ = last - latest_.next(random_, last);
    } else {
      do {
        number_ = scrambled_.next(random_, plan_.records_drawn);
      } while (number_ > last);
    }
    Rows::make_key(number_, key_);
  } while (!share_.asks(key_));
}

void YcsbClient::start_update(Operation& operation) {
  step_ = Step::update;
  ++stamp_;
  if (plan_.whole_rows) {
    rows_.make(number_, stamp_, row_);
    operation = {.verb = Verb::put, .key = key_, .value = row_};
  } else {
    operation = {.verb = Verb::modify, .key = key_};
  }
}

bool YcsbClient::next(Operation& operation) {
  if (update_follows_) {
    update_follows_ = false;
    start_update(operation);
    return true;
  }
  if (left_ == 0) return false;
  --left_;
  step_ = draw_step();
  if (step_ == Step::insert) {
    number_ = inserts_.take();
    Rows::make_key(number_, key_);
    rows_.make(number_, 0, row_);
    operation = {.verb = Verb::put, .key = key_, .value = row_};
    return begin();
  }
  draw_record();
  if (step_ == Step::update) {
    start_update(operation);
  } else if (step_ == Step::scan) {
    length_ = static_cast<std::uint32_t>(random_.below(kScanLengthMax)) + 1;
    seen_ = 0;
    operation = {.verb = Verb::scan, .key = key_, .scan_length = length_};
  } else {
    operation = {.verb = Verb::get, .key = key_};
  }
  return begin();
}

void YcsbClient::on_value(bool found, std::string_view row) {
  if (!found) fail("YCSB: a record is not there");
  rows_.check(number_, row);
}

std::string_view YcsbClient::on_modify(bool found, std::string_view row) {
  on_value(found, row);
  row_.assign(row);
  rows_.set_field(number_, static_cast<unsigned>(random_.below(rows_.field_count())), stamp_, row_);
  return row_;
}

void YcsbClient::on_entry(std::string_view key, std::string_view row) {
  if (seen_ == 0) {
    if (key != key_) fail("YCSB: a scan did not begin with its record");
    rows_.check(number_, row);
  } else if (!(previous_ < key)) {
    fail("YCSB: a scan left the key order");
  }
  previous_.assign(key);
  ++seen_;
}

void YcsbClient::on_done() {
  if (step_ == Step::read_before_update) {
    update_follows_ = true;
    return;
  }
  if (step_ == Step::insert) inserts_.acknowledge(number_);
  if (step_ == Step::scan && seen_ > length_) fail("YCSB: a scan returned more than it was asked for");
  if (step_ == Step::scan && seen_ < length_ && previous_ < plan_.greatest_key) {
    fail("YCSB: a scan ended before the last record");
  }
  end();
}

bool YcsbLoadClient::next(Operation& operation) {
  for (; number_ < record_count_; ++number_) {
    Rows::make_key(number_, key_);
    if (!share_.writes(number_, key_)) continue;
    rows_.make(number_, 0, row_);
    operation = {.verb = Verb::put, .key = key_, .value = row_};
    ++number_;
    return true;
  }
  return false;
}

}  // namespace cambium::bench
