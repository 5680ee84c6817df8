// SPDX-License-Identifier: MIT OR Apache-2.0
// Gets of a level store whose sstables have a learned index, and of one whose have not: the same keys, one partition,
// one get after the other. What decides for tables of index `automatic` (lib/levels/index_choice.h).
//
// With a budget that holds everything it is a question of instructions and lines of memory; with a small cache
// (--cache) of pages read per get, which are printed beside. Every answer is verified.
#include <cstdio>
#include <memory>
#include <optional>

#include <cambium/partition.h>
#include <cambium/rt/check.h>
#include <cambium/rt/core.h>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/key_shapes.h"
#include "harness/options.h"
#include "harness/runner.h"

using namespace cambium;
using namespace cambium::bench;

namespace {

struct LearnedOptions : bench::Options {
  std::uint64_t lookup_count = 1'000'000;
  std::uint64_t cache_bytes = 0;
};

template <class T>
T value_of(Result<T> result) {
  if (!result) fail(std::string(result.error().message()));
  return std::move(*result);
}
void done(const Status& status) {
  if (!status) fail(std::string(status.error().message()));
}

Task<Result<Partition>> open_partition(Core& core, const std::string& path, const LearnedOptions& asked) {
  cambium::Options options;
  options.path = path;
  options.memory_bytes = asked.memory_bytes;
  options.cache_bytes = asked.cache_bytes;
  Result<Partition> db = co_await Partition::open(core, options);
  co_return db;
}

Task<Result<Table>> load(Partition& db, const std::string& name, TableIndex index, const std::vector<std::string>& keys,
                         const std::string& value) {
  const TableOptions options{.kind = TableKind::levels, .index = index};
  Table table = co_await check(db.table(name, options));
  BulkLoad load = co_await check(db.bulk_load(table));
  for (const std::string& key : keys) {
    co_await check(load.add(key, value));
  }
  co_await check(load.finish());
  co_return table;
}

Task<Status> ask(Partition& db, const Table& table, const Asked& asked, std::size_t value_bytes) {
  std::uint32_t begin = 0;
  for (const std::uint32_t end : asked.ends) {
    const Value value = co_await check(db.get(table, Bytes(asked.bytes.data() + begin, end - begin)));
    require(value && value.view().size() == value_bytes, "a get found nothing");
    begin = end;
  }
  co_return Status();
}

Task<Status> close_partition(Partition& db) {
  Status closed = co_await db.close();
  co_return closed;
}

struct LearnedRow {
  std::string keys;
  std::uint64_t pages[2] = {};
  double ns[2] = {};
  double reads[2] = {};
  double through = 0;    // of the lookups, how many passed a learned index
  double fallbacks = 0;  // of these
};

LearnedRow run_shape(const std::string& shape, const LearnedOptions& options, Report& report,
                     const ScratchDir& scratch) {
  const std::vector<std::string> keys = make_keys(shape, options.key_count, options.seed);
  const Asked asked = draw(keys, options.lookup_count, mix64(options.seed));
  const std::string value(options.value_bytes, 'v');
  const std::unique_ptr<Core> core = value_of(Core::create());
  const std::string path = scratch.fresh(shape) + "/data.cambium";
  Partition db = value_of(core->run(open_partition(*core, path, options)));
  const Table tables[] = {value_of(core->run(load(db, "learned", TableIndex::learned, keys, value))),
                          value_of(core->run(load(db, "plain", TableIndex::plain, keys, value)))};
  LearnedRow row{.keys = shape};
  for (std::size_t i = 0; i < 2; ++i) row.pages[i] = value_of(db.table_stats(tables[i])).pages;
  for (const Table& table : tables) done(core->run(ask(db, table, asked, options.value_bytes)));  // warm
  const Stats warm = db.stats();
  const auto gets_of = [&](const Table& table) {
    return [&](unsigned) {
      const std::uint64_t reads_before = db.stats().page_reads;
      Sample sample = measure([&] {
        done(core->run(ask(db, table, asked, options.value_bytes)));
        return options.lookup_count;
      });
      const auto reads = static_cast<double>(db.stats().page_reads - reads_before);
      sample.extras.emplace_back("reads_per_get", reads / static_cast<double>(options.lookup_count));
      return sample;
    };
  };
  const std::string title = "gets, " + shape;
  const std::vector<Series> all = report.alternate({.title = title,
                                                    .sides = {{"learned", "index = learned", "get", gets_of(tables[0])},
                                                              {"plain", "index = plain", "get", gets_of(tables[1])}}},
                                                   options.repetitions);
  report.verdict({.title = title, .ours = "learned", .theirs = "plain", .goal = options.goal}, all[0].rates(),
                 all[1].rates());
  for (std::size_t i = 0; i < 2; ++i) {
    row.ns[i] = 1e3 * spread_of(all[i].cpu_us_per_operation()).median;
    row.reads[i] = spread_of(all[i].extras("reads_per_get")).median;
  }
  const Stats after = db.stats();
  const double gets = static_cast<double>(options.lookup_count) * options.repetitions;
  row.through = static_cast<double>(after.learned_lookups - warm.learned_lookups) / gets;
  row.fallbacks = static_cast<double>(after.learned_fallbacks - warm.learned_fallbacks) / gets;
  done(core->run(close_partition(db)));
  core->drain();
  return row;
}

}  // namespace

int main(int argc, char** argv) {
  LearnedOptions options;
  CLI::App app{"Gets of a level store with learned indexes, and without"};
  add_options(app, options);
  app.add_option("--lookups", options.lookup_count, "gets per run")
      ->check(CLI::Range(1u, 50'000'000u))
      ->capture_default_str();
  app.add_option("--cache", options.cache_bytes, "bytes of the page cache, e.g. 1MiB; 0: what the memory gives")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;
  options.pin();

  const ScratchDir scratch(options.dir, options.keep);
  Report report("bench_learned", scratch.path(),
                options.describe({{"lookups", std::to_string(options.lookup_count)},
                                  {"cache", std::to_string(options.cache_bytes >> 10) + " KiB"}}),
                options.json_path);
  std::vector<LearnedRow> rows;
  for (const char* shape : kKeyShapes) rows.push_back(run_shape(shape, options, report, scratch));
  std::printf("\n%-12s | %9s %9s | %8s %8s %6s | %8s %8s | %8s %9s\n", "keys", "plain", "learned", "plain", "learned",
              "ratio", "plain", "learned", "through", "fallbacks");
  std::printf("%-12s | %9s %9s | %8s %8s %6s | %8s %8s |\n", "", "pages", "pages", "ns", "ns", "", "reads", "reads");
  for (const LearnedRow& row : rows) {
    std::printf("%-12s | %9llu %9llu | %8.1f %8.1f %6.2f | %8.4f %8.4f | %7.1f%% %8.1f%%\n", row.keys.c_str(),
                static_cast<unsigned long long>(row.pages[1]), static_cast<unsigned long long>(row.pages[0]), row.ns[1],
                row.ns[0], row.ns[1] / row.ns[0], row.reads[1], row.reads[0], 100 * row.through, 100 * row.fallbacks);
  }
  return report.exit_code();
}
