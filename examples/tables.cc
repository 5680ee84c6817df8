// SPDX-License-Identifier: MIT OR Apache-2.0
// Several tables in one file: made by name, written together, replaced as a whole, dropped.
#include <cambium/cambium.h>
#include <cstdio>

using namespace cambium;

Task<Status> app(Core& core) {
  Partition db = co_await check(Partition::open(core, {.path = "tables.cambium", .memory_bytes = 16 * MiB}));
  const Table users = co_await check(db.table("users"));  // made, if it is not there
  const Table by_mail = co_await check(db.table("users by mail"));

  // An entry and its index: both or neither, whatever happens.
  WriteBatch batch;
  batch.put(users, "7", "Ada, ada@example.org").put(by_mail, "ada@example.org", "7");
  co_await check(db.write(batch));

  // A new index under a name of its own, then into the place of the old one.
  const Table fresh = co_await check(db.table("users by mail, new"));
  co_await check(db.put(fresh, "ADA@EXAMPLE.ORG", "7"));
  co_await check(db.rename_table("users by mail", "users by mail, old"));
  co_await check(db.rename_table("users by mail, new", "users by mail"));
  co_await check(db.drop_table("users by mail, old"));  // its space comes back by itself

  const Status gone = co_await db.put(by_mail, "handle", "of the dropped table");
  if (gone.code() != Errc::not_found) co_return Error(Errc::corruption, "a dropped table was written to");
  for (const TableInfo& info : db.tables()) std::printf("%s\n", info.table.name().c_str());
  co_return co_await db.close();
}

int main() { return run(app); }
