// SPDX-License-Identifier: MIT OR Apache-2.0
// A snapshot stays still while the data changes below it, through flushes; what it pins comes back when it goes.
//
//   snapshot_tour [file]      an existing partition (a quarter of it is rewritten), or a new one with 20,000 keys
#include <cambium/cambium.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

using namespace cambium;

namespace {

const char* path = "tour.cambium";
constexpr int kKeys = 20'000;

struct Seen {
  std::uint64_t entries = 0;
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a over keys and values, in order

  void add(std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211u;
  }
  bool operator==(const Seen&) const = default;
};

Task<Result<Seen>> look(Partition& db, const Snapshot* snapshot) {
  Seen seen;
  Scan scan = db.scan({}, {.snapshot = snapshot});
  for (;;) {
    auto page = co_await check(scan.next_page());
    if (page.empty()) break;
    for (const Entry& entry : page) {
      seen.add(entry.key.view());
      seen.add(entry.value.view());
      ++seen.entries;
    }
  }
  co_return seen;
}

Task<Status> fill(Partition& db) {
  for (int i = 0; i < kKeys; ++i) co_await check(db.put("key" + std::to_string(i), "first"));
  co_return co_await db.flush();
}

// Every fourth key gets a new value, the one after it goes, and one is added. Keys are gathered first: a scan shows
// the state of its beginning, whatever is written meanwhile, but its entries are only valid until the next page.
Task<Status> rewrite(Partition& db, const std::string& value) {
  std::vector<std::string> keys;
  {
    Scan scan = db.scan();
    for (;;) {
      auto page = co_await check(scan.next_page());
      if (page.empty()) break;
      for (const Entry& entry : page) keys.push_back(entry.key.str());
    }
  }
  for (std::size_t i = 0; i + 1 < keys.size(); i += 4) {
    co_await check(db.put(keys[i], value));
    co_await check(db.del(keys[i + 1]));
  }
  co_await check(db.put("added by the tour", value));
  co_return co_await db.flush();
}

void say(const char* what, const Seen& seen) {
  std::printf("%-34s %8llu entries, hash %016llx\n", what, static_cast<unsigned long long>(seen.entries),
              static_cast<unsigned long long>(seen.hash));
}

Task<Status> tour(Partition& db) {
  const Seen before = co_await check(look(db, nullptr));
  say("at the start", before);
  {
    const Snapshot snapshot = db.snapshot();
    co_await check(rewrite(db, "second"));
    co_await check(rewrite(db, "third"));
    const Seen now = co_await check(look(db, nullptr));
    const Seen then = co_await check(look(db, &snapshot));
    say("now, after two rounds of changes", now);
    say("through the snapshot", then);
    std::printf("%-34s %8llu KiB\n", "the snapshot alone pins",
                static_cast<unsigned long long>(snapshot.pinned_bytes() / 1024));
    if (!(then == before)) co_return Error(Errc::corruption, "the snapshot has moved");
    if (now == before) co_return Error(Errc::corruption, "nothing has changed");
    if (snapshot.pinned_bytes() == 0) co_return Error(Errc::corruption, "the snapshot pins nothing");
  }
  co_await check(db.put("after the snapshot", "went"));
  co_await check(db.flush());  // pages are free one commit after nobody can see them
  co_await check(db.put("after the snapshot", "went again"));
  co_await check(db.flush());
  const CheckReport report = co_await check(db.check());
  std::printf("%-34s %8llu entries, %llu pages in use, %llu held\n", "checked without it",
              static_cast<unsigned long long>(report.entries), static_cast<unsigned long long>(report.reachable_pages),
              static_cast<unsigned long long>(report.held_pages));
  co_return Status();
}

Task<Status> app(Core& core) {
  Partition db = co_await check(Partition::open(core, {.path = path, .memory_bytes = 64 * MiB}));
  const Seen found = co_await check(look(db, nullptr));
  if (found.entries == 0) co_await check(fill(db));
  Status outcome = co_await tour(db);
  const Status closed = co_await db.close();
  if (!outcome) co_return outcome;
  co_return closed;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) path = argv[1];
  return run(app);
}
