// SPDX-License-Identifier: MIT OR Apache-2.0
#include "lsm/clients.h"

#include <algorithm>

namespace cambium::bench {
namespace {

constexpr double kNsPerSecond = 1e9;
constexpr std::uint32_t kShortScanLengthMax = 100;

class VerifySink final : public EntrySink {
 public:
  explicit VerifySink(const VersionedData& data) : data_(data) {}

  void on_entry(std::string_view key, std::string_view value) override {
    if (count_ != 0 && !(previous_ < key)) fail("a scan left the key order");
    std::uint32_t version = 0;
    const std::uint64_t index = data_.check_entry(key, value, version);
    if (version != data_.versions().newest(index)) fail("a scan returned a value that is not the newest of its key");
    previous_.assign(key);
    ++count_;
  }
  std::uint64_t count() const { return count_; }

 private:
  VersionedData data_;
  std::string previous_;
  std::uint64_t count_ = 0;
};

}  // namespace

bool LoadClient::next(Operation& operation) {
  for (; index_ < data_.key_count(); ++index_) {
    key_ = data_.key(index_);
    if (!share_.writes(index_, key_.view())) continue;
    operation = {.verb = Verb::put, .key = key_.view(), .value = data_.value(index_, key_, 0)};
    ++index_;
    return true;
  }
  return false;
}

bool PutClient::next(Operation& operation) {
  if (left_ == 0) return false;
  do {
    index_ = random_.below(data_.key_count());
    key_ = data_.key(index_);
  } while (!share_.writes(index_, key_.view()));
  operation = {
      .verb = Verb::put, .key = key_.view(), .value = data_.value(index_, key_, data_.versions().newest(index_) + 1)};
  if (!begin()) return false;
  version_ = data_.versions().begin_put(index_);
  --left_;
  return true;
}

void PutClient::on_done() {
  data_.versions().end_put(index_, version_);
  end();
}

bool PacedPutClient::next(Operation& operation) {
  const double now = now_seconds();
  if (now >= end_at_) return false;
  if (due_at_ == 0) due_at_ = now;
  pausing_ = now < due_at_;
  if (pausing_) {
    const double pause = std::min(due_at_, end_at_) - now;
    operation = {.verb = Verb::pause, .pause_ns = static_cast<std::int64_t>(pause * kNsPerSecond) + 1};
    return true;
  }
  due_at_ += interval_seconds_;
  return PutClient::next(operation);
}

void PacedPutClient::on_done() {
  if (!pausing_) PutClient::on_done();
}

bool GetClient::next(Operation& operation) {
  do {
    index_ = random_.below(data_.key_count());
    key_ = data_.key(index_);
  } while (!share_.asks(key_.view()));
  floor_ = data_.versions().floor(index_);
  operation = {.verb = Verb::get, .key = key_.view()};
  return begin();
}

void GetClient::on_value(bool found, std::string_view value) {
  if (!found) fail("a get did not find its key");
  data_.check(index_, key_, value, floor_);
}

bool ScanClient::next(Operation& operation) {
  do {
    index_ = random_.below(data_.key_count());
    key_ = data_.key(index_);
  } while (!share_.asks(key_.view()));
  floor_ = data_.versions().floor(index_);
  length_ = static_cast<std::uint32_t>(random_.below(kShortScanLengthMax)) + 1;
  seen_ = 0;
  operation = {.verb = Verb::scan, .key = key_.view(), .scan_length = length_};
  return begin();
}

void ScanClient::on_entry(std::string_view key, std::string_view value) {
  if (seen_ == 0) {
    if (key != key_.view()) fail("a scan did not begin with the key it was given");
    data_.check(index_, key_, value, floor_);
  } else if (!(previous_ < key)) {
    fail("a scan left the key order");
  }
  previous_.assign(key);
  ++seen_;
}

void ScanClient::on_done() {
  if (seen_ > length_) fail("a scan returned more than it was asked for");
  if (seen_ < length_ && previous_ != greatest_.view()) fail("a scan ended before the last key");
  entry_count_ += seen_;
  end();
}

void verify_store(ConcurrentStore& store, const VersionedData& data) {
  std::vector<std::unique_ptr<VerifySink>> sinks;
  std::vector<EntrySink*> views;
  for (unsigned part = 0; part < store.scan_parts(); ++part) {
    sinks.push_back(std::make_unique<VerifySink>(data));
    views.push_back(sinks.back().get());
  }
  store.scan_all(Direction::forward, views);
  std::uint64_t count = 0;
  for (const auto& sink : sinks) count += sink->count();
  if (count != data.key_count()) {
    fail(store.name() + ": a scan returned " + std::to_string(count) + " entries of " +
         std::to_string(data.key_count()));
  }
}

}  // namespace cambium::bench
