// SPDX-License-Identifier: MIT OR Apache-2.0
// The clients of bench_levels: those that load, overwrite, get and scan; those of YCSB are in ycsb_client.h.
//
// Errors     a wrong, stale, missing or superfluous answer ends the program.
#pragma once

#include <string>

#include "harness/driver.h"
#include "harness/versioned_data.h"

namespace cambium::bench {

// Puts its share of the keys in index order, which is a random order of keys. Not timed one by one: only counted.
class LoadClient final : public TimedClient {
 public:
  LoadClient(const VersionedData& data, KeyShare share) : data_(data), share_(share) {}

  bool next(Operation& operation) override;
  void on_done() override { count(); }

 private:
  VersionedData data_;
  KeyShare share_;
  std::uint64_t index_ = 0;
  Key key_{};
};

// Overwrites uniformly drawn keys of its share with their next version.
class PutClient : public TimedClient {
 public:
  PutClient(const VersionedData& data, KeyShare share, std::uint64_t seed)
      : data_(data), share_(share), random_(seed) {}
  void set_limit(std::uint64_t puts) { left_ = puts; }

  bool next(Operation& operation) override;
  void on_done() override;

 private:
  VersionedData data_;
  KeyShare share_;
  Random random_;
  std::uint64_t left_ = ~std::uint64_t{0};
  std::uint64_t index_ = 0;
  std::uint32_t version_ = 0;
  Key key_{};
};

// The same at a given rate, however long a put takes: late ones follow at once.
class PacedPutClient final : public PutClient {
 public:
  PacedPutClient(const VersionedData& data, KeyShare share, std::uint64_t seed, double rate, double end_at)
      : PutClient(data, share, seed), interval_seconds_(1 / rate), end_at_(end_at) {}

  bool next(Operation& operation) override;
  void on_done() override;

 private:
  double interval_seconds_;
  double end_at_;
  double due_at_ = 0;
  bool pausing_ = false;
};

// Gets uniformly drawn keys, all of which are there.
class GetClient final : public TimedClient {
 public:
  GetClient(const VersionedData& data, KeyShare share, std::uint64_t seed)
      : data_(data), share_(share), random_(seed) {}

  bool next(Operation& operation) override;
  void on_value(bool found, std::string_view value) override;

 private:
  VersionedData data_;
  KeyShare share_;
  Random random_;
  std::uint64_t index_ = 0;
  std::uint32_t floor_ = 0;
  Key key_{};
};

// Scans of 1 to 100 entries from uniformly drawn keys on. The first entry is checked wholly, all for their order.
class ScanClient final : public TimedClient {
 public:
  ScanClient(const VersionedData& data, KeyShare share, std::uint64_t seed, const Key& greatest)
      : data_(data), share_(share), random_(seed), greatest_(greatest) {}

  bool next(Operation& operation) override;
  void on_entry(std::string_view key, std::string_view value) override;
  void on_done() override;
  std::uint64_t entry_count() const { return entry_count_; }

 private:
  VersionedData data_;
  KeyShare share_;
  Random random_;
  Key greatest_;  // of all: only a scan that reached it may end early
  std::uint64_t index_ = 0;
  std::uint32_t floor_ = 0;
  Key key_{};
  std::uint32_t length_ = 0;
  std::uint32_t seen_ = 0;
  std::string previous_;
  std::uint64_t entry_count_ = 0;
};

// One full scan, checked to the last byte: every key once, in order, in its newest version. Untimed.
void verify_store(ConcurrentStore& store, const VersionedData& data);

// What full scans are timed with: a digest of each part.
class DigestSink final : public EntrySink {
 public:
  void on_entry(std::string_view key, std::string_view value) override { digest_.add(key, value); }
  const Digest& digest() const { return digest_; }

 private:
  Digest digest_;
};

}  // namespace cambium::bench
