// SPDX-License-Identifier: MIT OR Apache-2.0
#include "space/superblock_store.h"

#include <catch2/catch.hpp>

#include <cstring>

#include "lib/space/device_fixture.h"

namespace cambium {
namespace {

using format::Superblock;
using test::DeviceFixture;

Superblock record(std::uint64_t generation) {
  Superblock superblock{};
  superblock.page.type = format::PageType::superblock;
  superblock.page.generation = generation;
  superblock.page.file_id = test::kFileId;
  superblock.magic = format::kMagic;
  superblock.version = format::kFormatVersion;
  superblock.page_bytes = kPageBytes;
  superblock.file_pages = 64;
  superblock.sequence = generation * 100;
  superblock.table_count = 1;
  return superblock;
}

struct Fixture : DeviceFixture {
  Fixture() : DeviceFixture(64), buffer(memory(4)) {}
  void write(const Superblock& superblock, unsigned slot) {
    run(write_superblock(device(), superblock, slot, buffer)).value();
  }
  Result<LoadedSuperblock> load() { return run(load_superblock(device(), buffer)); }
  char* buffer;
};

TEST_CASE("superblock store: the newest slot wins, the other one's generation is told") {
  Fixture f;
  f.write(record(7), 0);
  {
    const LoadedSuperblock loaded = f.load().value();
    CHECK(loaded.slot == 0);
    CHECK(loaded.record.page.generation == 7);
    CHECK(raw(loaded.other) == 0);
  }
  f.write(record(8), 1);
  const LoadedSuperblock loaded = f.load().value();
  CHECK(loaded.slot == 1);
  CHECK(loaded.record.page.generation == 8);
  CHECK(loaded.record.sequence == 800);
  CHECK(raw(loaded.other) == 7);
  CHECK(!loaded.damaged);
  f.write(record(9), 0);
  CHECK(f.load().value().slot == 0);
}

TEST_CASE("superblock store: whichever copies are damaged, the newest whole one opens the file") {
  for (unsigned damage = 0; damage < 16; ++damage) {
    for (const std::uint64_t offset : {0u, 6u, 24u, 32u, 40u, 80u, 300u, 4095u}) {
      Fixture f;
      f.write(record(7), 0);
      f.write(record(8), 1);
      for (unsigned page = 0; page < 4; ++page) {
        if (((damage >> page) & 1) != 0) f.disk().flip_bit(test::kFile, page * kPageBytes + offset, page % 8);
      }
      CAPTURE(damage, offset);
      const Result<LoadedSuperblock> loaded = f.load();
      if (damage == 15) {
        // The magic gone from all four copies: nobody can say any more that it was one of ours.
        CHECK(loaded.code() == (offset == 32 ? Errc::unsupported : Errc::corruption));
        continue;
      }
      REQUIRE(loaded);
      const bool newer_whole = (damage & 12) != 12;
      const bool older_whole = (damage & 3) != 3;
      CHECK(loaded.value().record.page.generation == (newer_whole ? 8 : 7));
      CHECK(loaded.value().slot == (newer_whole ? 1 : 0));
      CHECK(raw(loaded.value().other) == (newer_whole && older_whole ? 7 : 0));
      CHECK(loaded.value().damaged == (damage != 0));
    }
  }
}

TEST_CASE("superblock store: a torn commit, one copy new and one old, opens as the new one") {
  Fixture f;
  f.write(record(7), 0);
  f.write(record(8), 1);
  const std::string second = f.disk().peek(test::kFile, kPageBytes, kPageBytes);
  f.write(record(9), 0);
  f.disk().poke(test::kFile, kPageBytes, second);  // of the two copies only the first arrived
  const LoadedSuperblock loaded = f.load().value();
  CHECK(loaded.record.page.generation == 9);
  CHECK(loaded.slot == 0);
  CHECK(raw(loaded.other) == 8);
}

TEST_CASE("superblock store: foreign files are unsupported, and so are newer versions and unknown features") {
  Fixture f;
  CHECK(f.load().code() == Errc::unsupported);  // zeros
  f.disk().poke(test::kFile, 0, std::string(4 * kPageBytes, 'x'));
  CHECK(f.load().code() == Errc::unsupported);
  Superblock newer = record(7);
  newer.version = format::kFormatVersion + 1;
  f.write(newer, 0);
  CHECK(f.load().code() == Errc::unsupported);
  Superblock pages = record(8);
  pages.page_bytes = 8192;
  f.write(pages, 0);
  CHECK(f.load().code() == Errc::unsupported);
  Superblock features = record(9);
  features.features_needed = 1ull << 40;
  f.write(features, 0);
  CHECK(f.load().code() == Errc::unsupported);
  Superblock optional = record(10);
  optional.features_optional = 1ull << 40;
  f.write(optional, 0);
  CHECK(f.load());
}

TEST_CASE("superblock store: a file that was cut, or is too short to be one, is refused with its length") {
  Fixture f;
  Superblock longer = record(7);
  longer.file_pages = 65;
  f.write(longer, 0);
  const Result<LoadedSuperblock> cut = f.load();
  CHECK(cut.code() == Errc::corruption);
  CHECK(std::string(cut.error().message()).find("266240") != std::string::npos);

  DeviceFixture tiny(3);
  char* buffer = tiny.memory(4);
  CHECK(tiny.run(load_superblock(tiny.device(), buffer)).code() == Errc::unsupported);
}

TEST_CASE("superblock store: impossible values are corruption") {
  Fixture f;
  Superblock wrong = record(7);
  wrong.table_count = format::kTablesMax + 1;
  f.write(wrong, 0);
  CHECK(f.load().code() == Errc::corruption);
  wrong = record(8);
  wrong.file_pages = 3;
  f.write(wrong, 0);
  CHECK(f.load().code() == Errc::corruption);
  wrong = record(9);
  wrong.file_pages = kFilePagesMax + 1;
  f.write(wrong, 0);
  CHECK(f.load().code() == Errc::corruption);
}

TEST_CASE("superblock store: a copy in the place of another is not believed") {
  Fixture f;
  f.write(record(7), 0);
  f.write(record(8), 1);
  f.disk().copy_page(test::kFile, 0, 2);
  f.disk().copy_page(test::kFile, 0, 3);
  const LoadedSuperblock loaded = f.load().value();
  CHECK(loaded.record.page.generation == 7);
  CHECK(loaded.slot == 0);
  CHECK(raw(loaded.other) == 0);
  CHECK(loaded.damaged);
}

}  // namespace
}  // namespace cambium
