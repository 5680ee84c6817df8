// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/committer.h"

#include <catch2/catch.hpp>

#include <set>

#include "lib/flush/flush_fixture.h"

namespace cambium {
namespace {

using rt::IoKind;
using test::FlushFixture;
using test::StepLog;

constexpr std::uint64_t kSuperblockBytes = format::kSuperblockPages * kPageBytes;

TEST_CASE("committer: pages, sync, superblock, sync, in this order and into the other slot each time") {
  FlushFixture f;
  for (unsigned i = 0; i < 4; ++i) {
    CAPTURE(i);
    const unsigned slot = i % 2;  // the first two commits, by the fixture, ended in slot 1
    StepLog log(f.base.disk());
    f.commit(FlushFixture::batch_of(300, std::to_string(i))).value();
    REQUIRE(log.steps.size() >= 4);
    const std::size_t last = log.steps.size() - 1;
    for (std::size_t step = 0; step + 3 < log.steps.size(); ++step) {
      CHECK(log.steps[step].kind == IoKind::write);
      CHECK(log.steps[step].offset >= kSuperblockBytes);
    }
    CHECK(log.steps[last - 2].kind == IoKind::sync);
    CHECK(log.steps[last - 1].kind == IoKind::write);
    CHECK(log.steps[last - 1].offset == slot * format::kSuperblockCopies * kPageBytes);
    CHECK(log.steps[last - 1].bytes == format::kSuperblockCopies * kPageBytes);
    CHECK(log.steps[last].kind == IoKind::sync);
    CHECK(f.on_disk().slot == slot);
    CHECK(f.on_disk().record.page.generation == raw(f.committer.newest()));
  }
}

TEST_CASE("committer: no page that the newest or the fallback version uses is overwritten") {
  FlushFixture f;
  for (unsigned i = 0; i < 8; ++i) {
    std::set<std::uint64_t> taken;
    for (std::uint64_t page = 0; page < f.space->file_pages(); ++page) {
      const std::uint32_t group = format::group_of(PageId{page});
      const bool own = page >= format::kSuperblockPages &&
                       page - raw(format::group_first_page(group)) < format::group_own_pages(group);
      if (!own && (f.space->used(PageId{page}) || f.space->held(PageId{page}))) taken.insert(page);
    }
    StepLog log(f.base.disk());
    f.commit(FlushFixture::batch_of(300, std::to_string(i))).value();
    for (const SimStep& step : log.steps) {
      if (step.kind != IoKind::write || step.offset < kSuperblockBytes) continue;
      for (std::uint64_t page = step.offset / kPageBytes; page < (step.offset + step.bytes) / kPageBytes; ++page) {
        CAPTURE(i, page);
        REQUIRE(taken.count(page) == 0);
      }
    }
  }
}

TEST_CASE("committer: a touch writes the same state under the next generation, two of them into both slots") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(300, "old")).value();
  f.commit(FlushFixture::batch_of(300, "new"), Sequence{7}).value();
  const LoadedSuperblock before = f.on_disk();
  CHECK(f.space->held_by_fallback() > 0);

  f.base.run(test::touch_once(f.committer)).value();
  const LoadedSuperblock once = f.on_disk();
  CHECK(once.slot == 1 - before.slot);
  CHECK(once.record.page.generation == before.record.page.generation + 1);
  CHECK(once.record.catalog == before.record.catalog);
  CHECK(once.record.sequence == 7);
  CHECK(f.space->held_by_fallback() == 0);

  f.base.run(test::touch_once(f.committer)).value();
  const LoadedSuperblock twice = f.on_disk();
  CHECK(twice.slot == before.slot);
  CHECK(twice.record.page.generation == before.record.page.generation + 2);
  CHECK(raw(twice.other) == once.record.page.generation);
  CHECK(twice.record.catalog == before.record.catalog);
}

TEST_CASE("committer: a failed sync or superblock write poisons for good, and nothing is written afterwards") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(10, "old"), Sequence{1}).value();
  const Generation newest = f.committer.newest();
  SimFault fault;
  SECTION("the sync before the superblock") { fault.kind = IoKind::sync; }
  SECTION("the sync after the superblock") {
    fault.kind = IoKind::sync;
    fault.operation = 1;
  }
  SECTION("the superblock") {
    fault.kind = IoKind::write;
    fault.region_bytes = kSuperblockBytes;
  }
  SECTION("a page") { fault.kind = IoKind::write; }
  f.base.disk().plan(fault);
  CHECK(f.commit(FlushFixture::batch_of(10, "new"), Sequence{2}).code() == Errc::io);
  CHECK(f.base.disk().faults_struck() == 1);
  CHECK(f.committer.poisoned());
  CHECK(f.committer.poison().code() == Errc::io);
  CHECK(f.committer.newest() == newest);
  CHECK(f.views->newest() == newest);
  CHECK(f.read(f.table().newest()).front().second == "old");  // readers go on

  f.base.settle();
  StepLog log(f.base.disk());
  CHECK(f.base.run(test::touch_once(f.committer)).code() == Errc::io);
  CHECK(log.steps.empty());
}

TEST_CASE("committer: running out of space poisons nothing, and the same generation is built again") {
  FlushFixture f;
  f.commit(FlushFixture::batch_of(10, "old"), Sequence{1}).value();
  const Generation building = f.committer.building();
  const std::uint64_t used = f.space->used_pages();
  constexpr int kNoSpace = 28;
  f.base.disk().plan({.error = kNoSpace, .kind = IoKind::write});
  CHECK(f.commit(FlushFixture::batch_of(10, "new"), Sequence{2}).code() == Errc::no_space);
  CHECK(!f.committer.poisoned());
  CHECK(f.committer.building() == building);
  CHECK(f.space->used_pages() == used);
  CHECK(f.read(f.table().newest()).front().second == "old");

  f.commit(FlushFixture::batch_of(10, "new"), Sequence{2}).value();
  CHECK(f.committer.newest() == building);
  CHECK(f.read(f.table().newest()).front().second == "new");
}

}  // namespace
}  // namespace cambium
