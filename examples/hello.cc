// SPDX-License-Identifier: MIT OR Apache-2.0
// The smallest program: opens a partition, writes, reads, scans, closes.
#include <cambium/cambium.h>
#include <cstdio>

using namespace cambium;

Task<Status> app(Core& core) {
  Partition db = co_await check(Partition::open(core, {.path = "hello.cambium", .memory_bytes = 16 * MiB}));
  co_await check(db.put("hello", "world"));
  co_await check(db.put("hallo", "Welt"));
  {
    Value value = co_await check(db.get("hello"));  // pinned, not copied; empty when the key is absent
    if (value.view() != "world") co_return Error(Errc::corruption, "hello is not world");
    Scan scan = db.scan(ScanRange::with_prefix("h"));
    for (;;) {
      auto page = co_await check(scan.next_page());  // one await per page, none per entry
      if (page.empty()) break;
      for (const Entry& e : page) std::printf("%s = %s\n", e.key.str().c_str(), e.value.str().c_str());
    }
  }
  co_return co_await db.close();  // everything is durable
}

int main() { return run(app); }
