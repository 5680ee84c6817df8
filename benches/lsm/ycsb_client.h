// SPDX-License-Identifier: MIT OR Apache-2.0
// A client of one YCSB core workload: draws verbs and records as the original does, checks every row it sees.
//
// An update changes one field and therefore reads the row first, unless whole rows are put; a read-modify-write reads
// the row and then updates it. Its latency is that of all of it.
//
// Lifetime   the plan and the counter outlive the clients.
#pragma once

#include <string>

#include "harness/driver.h"
#include "harness/ycsb.h"

namespace cambium::bench {

struct YcsbPlan {
  Mix mix;
  bool whole_rows = false;          // an update puts all fields
  std::uint64_t records_drawn = 0;  // zipfian requests are scattered over so many, some not inserted yet
  std::string greatest_key;         // of the records loaded
};

class YcsbClient final : public TimedClient {
 public:
  YcsbClient(const YcsbPlan& plan, const Rows& rows, const Zipfian& latest, InsertCounter& inserts, KeyShare share,
             std::uint64_t operations, std::uint64_t seed);

  bool next(Operation& operation) override;
  void on_value(bool found, std::string_view row) override;
  std::string_view on_modify(bool found, std::string_view row) override;
  void on_entry(std::string_view key, std::string_view row) override;
  void on_done() override;

 private:
  enum class Step : std::uint8_t { read, update, insert, scan, read_before_update };

  Step draw_step();
  void draw_record();
  void start_update(Operation& operation);

  const YcsbPlan& plan_;
  Rows rows_;
  Zipfian latest_;
  ScrambledZipfian scrambled_;
  InsertCounter& inserts_;
  KeyShare share_;
  std::uint64_t left_;
  Random random_;
  Step step_ = Step::read;
  bool update_follows_ = false;
  std::uint64_t number_ = 0;
  std::uint64_t stamp_;  // of the next update; unique to it
  std::string key_;
  std::string row_;
  std::uint32_t length_ = 0;
  std::uint32_t seen_ = 0;
  std::string previous_;
};

// Puts its share of the records.
class YcsbLoadClient final : public TimedClient {
 public:
  YcsbLoadClient(const Rows& rows, std::uint64_t record_count, KeyShare share)
      : rows_(rows), record_count_(record_count), share_(share) {}

  bool next(Operation& operation) override;
  void on_done() override { count(); }

 private:
  Rows rows_;
  std::uint64_t record_count_;
  KeyShare share_;
  std::uint64_t number_ = 0;
  std::string key_;
  std::string row_;
};

}  // namespace cambium::bench
