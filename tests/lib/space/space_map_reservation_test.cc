// SPDX-License-Identifier: MIT OR Apache-2.0
// Reservations of the space map: pages of a commit that comes later, beside the commits that come first.
#include <catch2/catch.hpp>

#include <cambium/rt/check.h>

#include "lib/space/device_fixture.h"
#include "space/space_map.h"

namespace cambium {
namespace {

using test::DeviceFixture;

Task<Status> write_bitmaps(SpaceMap& space, format::Superblock& superblock, WriteGroup& pages) {
  Status written = co_await space.write_changes(Generation{superblock.page.generation}, superblock, pages);
  co_return written;
}
Task<Result<std::unique_ptr<SpaceMap>>> load_map(BlockDevice& device, const format::Superblock& superblock,
                                                 char* staging) {
  Result<std::unique_ptr<SpaceMap>> map = co_await SpaceMap::load(device, superblock, {staging, kPageBytes});
  co_return map;
}

struct Fixture : DeviceFixture {
  Fixture()
      : DeviceFixture(256),
        buffer(memory(1)),
        staging(device(), memory(4), 4, kPageBytes),
        space(SpaceMap::format(device(), 256, test::kFileId)) {
    superblock.page.file_id = test::kFileId;
    commit();
  }
  void commit() {
    superblock.page.generation = ++generation;
    run(write_bitmaps(*space, superblock, staging)).value();
    space->committed(Generation{generation}, static_cast<unsigned>(generation & 1));
  }
  std::unique_ptr<SpaceMap> after_crash() { return run(load_map(device(), superblock, buffer)).value(); }

  char* buffer;
  WriteGroup staging;
  std::unique_ptr<SpaceMap> space;
  format::Superblock superblock{};
  std::uint64_t generation = 0;
};

TEST_CASE("space map: reserved pages are nobody else's, and free after a crash") {
  Fixture f;
  const std::uint64_t used = f.space->used_pages();
  const std::uint64_t free = f.space->free_pages();
  const PageRun reserved = f.space->reserve(32, 32).value();
  CHECK(f.space->used_pages() == used);
  CHECK(f.space->free_pages() == free - 32);
  const PageRun other = f.space->allocate(16, 16).value();
  CHECK((raw(other.first) + other.pages <= raw(reserved.first) ||
         raw(other.first) >= raw(reserved.first) + reserved.pages));
  f.commit();
  CHECK(f.after_crash()->used_pages() == used + 16);
  CHECK(f.after_crash()->free_pages() == free - 16);

  f.space->unreserve(reserved);
  CHECK(f.space->free_pages() == free - 16);
}

TEST_CASE("space map: a commit adopts what was reserved before, and an aborted one gives it back") {
  Fixture f;
  const std::uint64_t used = f.space->used_pages();
  const std::uint64_t free = f.space->free_pages();
  const PageRun first = f.space->reserve(20, 20).value();
  const PageRun second = f.space->reserve(10, 10).value();
  f.space->adopt(first);
  CHECK(f.space->used_pages() == used + 20);
  f.space->aborted();
  CHECK(f.space->used_pages() == used);
  CHECK(f.space->free_pages() == free - 10);
  f.space->adopt(second);
  f.commit();
  CHECK(f.after_crash()->used_pages() == used + 10);
  CHECK(f.space->free(second, Generation{1}));
  f.commit();
  CHECK(f.after_crash()->used_pages() == used);
}

}  // namespace
}  // namespace cambium
