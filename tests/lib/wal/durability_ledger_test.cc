// SPDX-License-Identifier: MIT OR Apache-2.0
#include "wal/durability_ledger.h"

#include <catch2/catch.hpp>

#include <optional>
#include <vector>

#include "base/random.h"
#include "support/seed.h"

namespace cambium {
namespace {

TEST_CASE(
    "durability ledger: a durable write makes only its own range durable, a plain one before it waits for a sync") {
  DurabilityLedger ledger(0, Sequence{});
  ledger.submit(100, Sequence{1}, false);
  ledger.submit(200, Sequence{2}, true);
  CHECK(!ledger.sync_due(Sequence{2}));  // the plain write is under way: a sync now would miss it
  ledger.complete(200);
  CHECK(ledger.durable_position() == 0);
  CHECK(ledger.written_position() == 0);
  CHECK(!ledger.sync_due(Sequence{2}));
  ledger.complete(100);
  CHECK(ledger.written_position() == 200);
  CHECK(ledger.durable_position() == 0);
  CHECK(!ledger.sync_due(Sequence{0}));  // nobody wants it
  CHECK(ledger.sync_due(Sequence{1}));
  ledger.begin_sync();
  CHECK(!ledger.sync_due(Sequence{2}));
  ledger.end_sync();
  CHECK(ledger.durable_position() == 200);
  CHECK(ledger.durable_sequence() == Sequence{2});
}

TEST_CASE("durability ledger: a sync gives nothing to what completes after its submission, or when it fails") {
  DurabilityLedger ledger(0, Sequence{});
  ledger.submit(100, Sequence{1}, false);
  ledger.complete(100);
  ledger.submit(200, Sequence{2}, false);
  ledger.begin_sync();
  ledger.complete(200);
  ledger.end_sync();
  CHECK(ledger.durable_position() == 100);
  CHECK(ledger.sync_due(Sequence{2}));
  ledger.begin_sync();
  ledger.abandon_sync();
  CHECK(ledger.durable_position() == 100);
  CHECK(!ledger.sync_due(Sequence{2}));  // never tried again
}

TEST_CASE("durability ledger: agrees with a model that keeps every group apart") {
  struct Group {
    std::uint64_t end;
    Sequence last;
    bool durable_write, completed, covered, durable;
  };
  const std::uint64_t base = test::test_seed(1);
  for (std::uint64_t seed = base; seed < base + 300; ++seed) {
    CAPTURE(seed);
    rt::Random random(seed);
    DurabilityLedger ledger(4096, Sequence{7});
    std::vector<Group> groups;
    std::vector<std::size_t> in_flight;
    bool syncing = false;
    std::uint64_t end = 4096;
    std::uint64_t sequence = 7;
    for (unsigned step = 0; step < 400; ++step) {
      const std::uint64_t what = random.below(4);
      if (what == 0 && in_flight.size() < 2 && !ledger.full()) {
        end += 4096 * (1 + random.below(4));
        sequence += random.below(3);
        const bool durable = random.below(2) == 0;
        ledger.submit(end, Sequence{sequence}, durable);
        in_flight.push_back(groups.size());
        groups.push_back({end, Sequence{sequence}, durable, false, false, false});
      } else if (what == 1 && !in_flight.empty()) {
        const std::size_t at = static_cast<std::size_t>(random.below(in_flight.size()));
        Group& group = groups[in_flight[at]];
        in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(at));
        group.completed = true;
        group.durable = group.durable_write;
        ledger.complete(group.end);
      } else if (what == 2 && !syncing) {
        for (Group& group : groups) group.covered = group.completed;
        ledger.begin_sync();
        syncing = true;
      } else if (what == 3 && syncing) {
        for (Group& group : groups) group.durable = group.durable || group.covered;
        ledger.end_sync();
        syncing = false;
      }
      std::uint64_t durable = 4096;
      std::uint64_t written = 4096;
      Sequence durable_sequence{7};
      bool whole = true;
      bool arrived = true;
      for (const Group& group : groups) {
        whole = whole && group.durable;
        arrived = arrived && group.completed;
        if (whole) durable = group.end;
        if (whole) durable_sequence = group.last;
        if (arrived) written = group.end;
      }
      REQUIRE(ledger.durable_position() == durable);
      REQUIRE(ledger.durable_sequence() == durable_sequence);
      REQUIRE(ledger.written_position() == written);
      // A sync is due exactly when it would help, and everything wanted has either arrived or is written durably.
      const Sequence wanted{7 + random.below(sequence - 6)};
      bool due = false;
      bool plain_under_way = false;
      Sequence before{7};
      for (const Group& group : groups) {
        if (before < wanted && !group.durable) {
          if (group.completed) due = true;
          if (!group.completed && !group.durable_write) plain_under_way = true;
        }
        before = group.last;
      }
      REQUIRE(ledger.sync_due(wanted) == (due && !plain_under_way && !syncing));
    }
  }
}

}  // namespace
}  // namespace cambium
