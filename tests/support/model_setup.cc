// SPDX-License-Identifier: MIT OR Apache-2.0
// How the model test is set up, and what it says at its end.
#include <cstdio>
#include <string>

#include <cambium/limits.h>

#include "base/text.h"
#include "support/codecs.h"
#include "support/model_driver.h"

namespace cambium::test {

ModelSetup model_setup(std::uint64_t seed, std::uint64_t cache_pages, std::uint64_t operations) {
  ModelSetup setup;
  setup.seed = seed;
  setup.operations = operations;
  if (cache_pages < 64) setup.held_max = 2;
  if (cache_pages == 256) setup.keys = 12'000;  // a tree of three levels
  setup.options.path = "model.cambium";
  setup.options.cache_bytes = cache_pages * kPageBytes;
  setup.options.write_buffer_bytes = cache_pages < 256 ? 64 * KiB : cache_pages * 1 * KiB;
  setup.options.memory_bytes = setup.options.cache_bytes * 9 / 8 + 4 * setup.options.write_buffer_bytes + 2 * MiB;
  return setup;
}

TableOptions table_options(const ModelSetup& setup, std::size_t i) {
  TableOptions options;
  if (!setup.levels || i % 2 == 0) return options;
  options.kind = TableKind::levels;
  if (i % 4 == 3) options.compression = some_codec();
  return options;
}

void print_report(const char* backend, std::uint64_t cache_pages, const ModelReport& report) {
  const std::string line =
      rt::str("model: ", backend, ", ", cache_pages, " pages of cache: ", report.operations, " operations, ",
              report.flushes, " flushes, ", report.reopens, " reopens (", report.recoveries, " from a log), ",
              report.checks, " checks, ", report.snapshot_reads, " snapshot reads, ", report.entries_scanned,
              " entries scanned, ", report.table_changes, " changes of tables\n");
  std::fputs(line.c_str(), stdout);
}

}  // namespace cambium::test
