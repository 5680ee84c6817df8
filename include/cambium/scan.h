// SPDX-License-Identifier: MIT OR Apache-2.0
// Scan: a range of keys in order, forwards or backwards, as of the moment it was made.
//
//   while (...) { auto page = co_await check(scan.next_page()); if (page.empty()) break; for (auto& e : page) ... }
//
// A scan sees one consistent state, whatever is written, flushed or compacted meanwhile. Values lie in pinned cache
// pages; keys are put together from prefix and suffix in memory of the scan. No allocation per entry.
//
// Errors     io, corruption, busy, cancelled; a scan that failed stays failed: it never skips on.
// Suspends   when a page has to be read.
// Lifetime   entries are valid until the next call; dropped before the partition is closed.
#pragma once

#include <memory>
#include <span>

#include <cambium/entry.h>
#include <cambium/rt/export.h>
#include <cambium/rt/op.h>

namespace cambium {

class ScanState;

class CAMBIUM_EXPORT Scan {
 public:
  explicit Scan(std::unique_ptr<ScanState> state) noexcept;
  Scan(Scan&& other) noexcept;
  Scan& operator=(Scan&& other) noexcept;
  ~Scan();

  // The next entry, or nullptr at the end.
  Op<const Entry*> next();
  // The entries of the next page, or none at the end: one await per page, none per entry.
  Op<std::span<const Entry>> next_page();

 private:
  std::unique_ptr<ScanState> state_;
};

}  // namespace cambium
