// SPDX-License-Identifier: MIT OR Apache-2.0
// What a write does when it must not, cannot or need not be taken.
#include <catch2/catch.hpp>

#include <string>

#include "base/text.h"
#include "lib/partition/partition_fixture.h"
#include "support/sleep.h"

namespace cambium::test {
namespace {

Task<Status> write_one_batch(Partition& db, const WriteBatch& batch, WriteOptions options) {
  Status status = co_await db.write(batch, options);
  co_return status;
}

// Puts of 1 KB, without giving the flusher a turn where the write does not wait, until one is refused.
Task<Status> put_until_refused(Partition& db, const Table& table, WriteOptions options, Model& model) {
  const std::string value(1000, 'v');
  for (int i = 0;; ++i) {
    const std::string key = rt::str("key ", 100'000 + i);
    const Status put = co_await db.put(table, key, value, options);
    if (!put) co_return put;
    model[key] = value;
  }
}

TEST_CASE("write path: a value beyond half of the memory is refused with the limit and the remedy, nothing changes") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture(kind);
  fixture.put("before", "1");
  const std::string longest(PartitionFixture::kOptions.memory_bytes / 2, 'v');
  const Status refused = fixture.run(apply_put(*fixture.db, *fixture.home, "long", longest + "v"));
  REQUIRE(refused.code() == Errc::invalid_argument);
  CHECK(refused.error().message().find("the limit here is 1048576") != std::string_view::npos);
  CHECK(refused.error().hint().find("memory_bytes") != std::string_view::npos);

  WriteBatch batch;
  batch.put(*fixture.home, "in a batch", "1").put(*fixture.home, "too long", longest + "v");
  CHECK(fixture.run(write_one_batch(*fixture.db, batch, {})).code() == Errc::invalid_argument);
  fixture.require_contents(fixture.model);  // not even the part of the batch that would have done

  fixture.put("longest", longest);
  fixture.reopen();
  fixture.require_contents(fixture.model);
}

TEST_CASE("write path: a batch that no write buffer holds is refused whole, with the figures") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture(kind);
  WriteBatch batch;
  const std::string value(1000, 'b');
  for (int i = 0; i < 2000; ++i) batch.put(*fixture.home, rt::str("batch ", i), value);
  const Status refused = fixture.run(write_one_batch(*fixture.db, batch, {}));
  REQUIRE(refused.code() == Errc::invalid_argument);
  CHECK(refused.error().message().find("does not fit one write buffer") != std::string_view::npos);
  CHECK(refused.error().hint().find("split the batch") != std::string_view::npos);
  fixture.require_contents({});
  CHECK(fixture.run(write_one_batch(*fixture.db, WriteBatch(), {})));  // an empty one is nothing to do
}

TEST_CASE("write path: a write that must not stall says so when every buffer is full, and succeeds after a flush") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture(kind);
  const Status refused = fixture.run(put_until_refused(*fixture.db, *fixture.home, {.no_stall = true}, fixture.model));
  REQUIRE(refused.code() == Errc::would_stall);
  CHECK(!refused.error().hint().empty());
  CHECK(fixture.model.size() > 100);
  WriteBatch batch;
  batch.put(*fixture.home, "one", "1").put(*fixture.home, "two", "2");
  const bool batch_taken = fixture.run(write_one_batch(*fixture.db, batch, {.no_stall = true})).has_value();
  if (batch_taken) fixture.model.insert({{"one", "1"}, {"two", "2"}});  // the flusher was faster
  fixture.require_contents(fixture.model);
  fixture.flush();
  fixture.put("after", "the flush");
  fixture.require_contents(fixture.model);
}

TEST_CASE("write path: on a full device a waiting write ends with no_space, and what was taken goes on with space") {
  CAMBIUM_BOTH_KINDS(kind);
  PartitionFixture fixture(kind);
  fixture.put("first", "1");
  fixture.flush();
  fixture.disk.set_capacity_bytes(fixture.disk.allocated_bytes());
  const Status refused = fixture.run(put_until_refused(*fixture.db, *fixture.home, {}, fixture.model));
  REQUIRE(refused.code() == Errc::no_space);
  CHECK(refused.error().message().find("cannot be flushed") != std::string_view::npos);
  fixture.require_contents(fixture.model);

  fixture.disk.set_capacity_bytes(~std::uint64_t{0});
  for (int i = 0; i < 10; ++i) fixture.run(sleep_a_while(*fixture.core));  // the flusher tries again every 100 ms
  fixture.flush();
  fixture.put("last", "2");
  fixture.reopen();
  fixture.require_contents(fixture.model);
}

}  // namespace
}  // namespace cambium::test
