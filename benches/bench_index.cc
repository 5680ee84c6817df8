// SPDX-License-Identifier: MIT OR Apache-2.0
// How a level store finds a leaf, and how it avoids looking: learned index against branch pages, and filters.
//
// Index: one sstable's leaves over the same keys, found through packed branch pages (the ones a tree has, searched with
// NodeView) and through the learned index. All pages are warm and lie in one array, so neither side pays for a cache.
// Both answers of every lookup are compared before anything is timed.
// Filter: time per probe in and out of the processor's caches, by implementation, with the lines prefetched in batches,
// with blocks that straddle two lines; and how often blocked and classic filters err.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "base/huge_memory.h"
#include "base/random.h"
#include "harness/fail.h"
#include "harness/key_shapes.h"
#include "harness/options.h"
#include "harness/runner.h"
#include "levels/blocked_filter.h"
#include "levels/filter_bits.h"
#include "levels/learned_index.h"
#include "levels/learned_index_builder.h"
#include "node/node_builder.h"
#include "node/node_view.h"

using namespace cambium;
using namespace cambium::bench;

namespace {

struct IndexOptions : Options {
  std::uint64_t lookup_count = 2'000'000;
  std::uint64_t filter_bytes = std::uint64_t{1} << 30;
};

constexpr std::uint64_t kFileId = 1;

// ---- the two indexes ----------------------------------------------------------------------------------------------

// Pages back to back; a child pointer's page is an index into them (leaves: an ordinal).
class Pages {
 public:
  explicit Pages(std::size_t count) : memory_(rt::HugeMemory::map(std::max<std::size_t>(count, 1) * kPageBytes)) {
    require(static_cast<bool>(memory_), "no memory for the pages");
  }
  char* page(std::size_t i) const { return reinterpret_cast<char*>(memory_.data()) + i * kPageBytes; }

 private:
  rt::HugeMemory memory_;
};

struct LeafBounds {
  std::vector<std::string> bounds;  // that of leaf 0 is empty
};

LeafBounds cut_leaves(const std::vector<std::string>& keys, std::size_t value_bytes) {
  const std::string value(value_bytes, 'v');
  LeafBounds leaves{{std::string()}};
  node::NodeSize size(true);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    node::NodeEntry entry;
    entry.key = keys[i];
    entry.value = value;
    if (size.count() > 0 && size.bytes_with(entry) > kPageBytes) {
      leaves.bounds.push_back(node::shortest_separator(keys[i - 1], keys[i]).str());
      size = node::NodeSize(true);
    }
    size.add(entry);
  }
  return leaves;
}

class BranchIndex {
 public:
  explicit BranchIndex(const LeafBounds& leaves) : pages_(leaves.bounds.size() / 2 + 64) {
    std::vector<node::NodeEntry> below(leaves.bounds.size());
    for (std::size_t i = 0; i < below.size(); ++i) {
      below[i].key = leaves.bounds[i];
      below[i].child.page = static_cast<std::uint32_t>(i);
    }
    do {
      below = add_level(below);
      ++height_;
    } while (below.size() > 1);
  }
  std::size_t page_count() const { return used_; }
  std::uint32_t find(Bytes key) const noexcept {
    std::uint32_t at = static_cast<std::uint32_t>(used_ - 1);
    for (unsigned level = height_; level != 0; --level) {
      const node::NodeView view(pages_.page(at));
      at = view.child(view.child_index(key)).page;
    }
    return at;
  }

 private:
  std::vector<node::NodeEntry> add_level(const std::vector<node::NodeEntry>& below) {
    std::vector<node::NodeEntry> level;
    for (std::size_t first = 0; first < below.size();) {
      node::NodeSize size(false);
      std::size_t end = first;
      while (end < below.size() && size.bytes_with(below[end]) <= kPageBytes) size.add(below[end++]);
      const std::span entries(below.data() + first, end - first);
      node::build_node(pages_.page(used_), {PageId{used_ + 1}, Generation{1}, kFileId, height_ + 1}, entries);
      node::NodeEntry parent;
      parent.key = below[first].key;
      parent.child.page = static_cast<std::uint32_t>(used_++);
      level.push_back(parent);
      first = end;
    }
    return level;
  }

  Pages pages_;
  std::size_t used_ = 0;
  unsigned height_ = 0;
};

class LearnedIndex {
 public:
  explicit LearnedIndex(const LeafBounds& leaves) : pages_(format::directory_pages(leaves.bounds.size()) + 1) {
    LearnedIndexBuilder builder;
    for (const std::string& bound : leaves.bounds) builder.add(bound, 0);
    while (!builder.plan_some(4096)) continue;
    fit_ = builder.fit();
    page_count_ = builder.pages();
    if (fit_ != LearnedFit::good) return;
    std::vector<std::uint32_t> checksums(builder.directory_pages());
    for (std::uint32_t i = 0; i < checksums.size(); ++i) {
      builder.write_directory_page(i, {PageId{i + 2}, Generation{1}, kFileId, 0}, pages_.page(i + 1));
      checksums[i] = format::seal_page(pages_.page(i + 1));
    }
    builder.write_root(checksums, {PageId{1}, Generation{1}, kFileId, 0}, pages_.page(0));
    require(validate_learned_root(pages_.page(0)) == nullptr, "the learned index is not valid");
  }
  LearnedFit fit() const { return fit_; }
  std::size_t page_count() const { return page_count_; }
  LearnedIndexView view() const noexcept { return LearnedIndexView(pages_.page(0)); }
  LearnedSearch search(Bytes key) const noexcept {
    LearnedSearch search = view().search(key);
    while (!search.done()) search.narrow(pages_.page(search.directory_page() + 1));
    return search;
  }

 private:
  Pages pages_;
  LearnedFit fit_ = LearnedFit::good;
  std::size_t page_count_ = 0;
};

const char* reason_of(LearnedFit fit) {
  switch (fit) {
    case LearnedFit::too_many_leaves:
      return "too many leaves";
    case LearnedFit::shared_heads:
      return "bounds share their heads";
    case LearnedFit::irregular:
      return "too many segments";
    case LearnedFit::good:
      break;
  }
  return "";
}

// ---- the index part -----------------------------------------------------------------------------------------------

struct IndexRow {
  std::string keys;
  std::size_t leaves = 0;
  std::size_t branch_pages = 0;
  std::size_t learned_pages = 0;
  std::size_t segments = 0;
  unsigned epsilon = 0;
  double shared = 0;      // lookups that must read leaves to decide, a share
  double line_steps = 0;  // mean distance of the line alone from the leaf
  double branch_ns = 0;
  double learned_ns = 0;
  LearnedFit fit = LearnedFit::good;
};

// CPU time: nothing here waits, so what others did meanwhile does not count.
double median_ns(const Series& series) { return 1e3 * spread_of(series.cpu_us_per_operation()).median; }

void compare_answers(const Asked& asked, const BranchIndex& branches, const LearnedIndex& learned, IndexRow& row) {
  std::uint64_t shared = 0;
  std::uint64_t steps = 0;
  asked.ask([&](Bytes key) {
    const std::uint32_t leaf = branches.find(key);
    const LearnedSearch search = learned.search(key);
    const LeafRange range = search.range();
    require(range.first <= leaf && leaf <= range.last, "the learned index and the branches disagree");
    shared += range.first != range.last;
    const std::uint32_t middle = search.prediction().first + (search.prediction().last - search.prediction().first) / 2;
    steps += leaf < middle ? middle - leaf : leaf - middle;
    return 0u;
  });
  row.shared = static_cast<double>(shared) / static_cast<double>(asked.ends.size());
  row.line_steps = static_cast<double>(steps) / static_cast<double>(asked.ends.size());
}

IndexRow run_index(const std::string& kind, const IndexOptions& options, Report& report) {
  const std::vector<std::string> keys = make_keys(kind, options.key_count, options.seed);
  const LeafBounds leaves = cut_leaves(keys, options.value_bytes);
  const BranchIndex branches(leaves);
  const LearnedIndex learned(leaves);
  IndexRow row{.keys = kind, .leaves = leaves.bounds.size(), .branch_pages = branches.page_count()};
  row.fit = learned.fit();
  if (row.fit != LearnedFit::good) return row;
  row.learned_pages = learned.page_count();
  row.segments = learned.view().segment_count();
  row.epsilon = learned.view().epsilon();
  const Asked asked = draw(keys, options.lookup_count, mix64(options.seed));
  compare_answers(asked, branches, learned, row);

  std::uint64_t sums[2] = {};
  const auto by_branches = [&](unsigned) {
    return measure([&] {
      sums[0] = asked.ask([&](Bytes key) { return branches.find(key); });
      return options.lookup_count;
    });
  };
  const auto by_learned = [&](unsigned) {
    return measure([&] {
      sums[1] = asked.ask([&](Bytes key) { return learned.search(key).range().last; });
      return options.lookup_count;
    });
  };
  const std::string title = "leaf of a key, " + kind;
  const std::vector<Series> all = report.alternate({.title = title,
                                                    .sides = {{"learned", "root and directory", "lookup", by_learned},
                                                              {"branches", "packed pages", "lookup", by_branches}}},
                                                   options.repetitions);
  report.warn_if_starved(all);
  report.verdict({.title = title, .ours = "learned", .theirs = "branches", .goal = options.goal}, all[0].rates(),
                 all[1].rates());
  require(row.shared > 0 || sums[0] == sums[1], "the sides found different leaves");
  row.learned_ns = median_ns(all[0]);
  row.branch_ns = median_ns(all[1]);
  return row;
}

void print_index(const std::vector<IndexRow>& rows) {
  std::printf("\n%-12s %8s | %8s %8s %6s | %8s %8s %6s | %8s %7s %7s %10s\n", "keys", "leaves", "branch", "learned",
              "ratio", "branch", "learned", "ratio", "segments", "epsilon", "shared", "line off");
  std::printf("%-12s %8s | %8s %8s %6s | %8s %8s %6s | %8s %7s %7s %10s\n", "", "", "KiB", "KiB", "", "ns", "ns", "",
              "", "", "", "by leaves");
  for (const IndexRow& row : rows) {
    std::printf("%-12s %8zu | %8zu ", row.keys.c_str(), row.leaves, row.branch_pages * 4);
    if (row.fit != LearnedFit::good) {
      std::printf("branches are used: %s\n", reason_of(row.fit));
      continue;
    }
    std::printf("%8zu %6.2f | %8.1f %8.1f %6.2f | %8zu %7u %6.2f%% %10.1f\n", row.learned_pages * 4,
                static_cast<double>(row.branch_pages) / static_cast<double>(row.learned_pages), row.branch_ns,
                row.learned_ns, row.branch_ns / row.learned_ns, row.segments, row.epsilon, 100 * row.shared,
                row.line_steps);
  }
}

// ---- the filter part ----------------------------------------------------------------------------------------------

constexpr unsigned kProbes = 6;
constexpr std::size_t kBatch = 16;

// Half of the bits set at random, as in a filter that is as full as it should be.
class FilterMemory {
 public:
  explicit FilterMemory(std::uint64_t bytes, std::uint64_t seed)
      : shape_{.keys = 1,
               .pages = static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / kPageBytes, 1)),
               .probes = kProbes},
        pages_(shape_.pages + 1) {
    rt::Random(seed).bytes(pages_.page(0), (std::size_t{shape_.pages} + 1) * kPageBytes);
  }
  const FilterShape& shape() const { return shape_; }
  const char* page(std::uint64_t hash) const noexcept { return pages_.page(filter_page_of(shape_, hash)); }
  const char* block(std::uint64_t hash, std::size_t shift) const noexcept {
    return page(hash) + filter_place(shape_, hash).offset + shift;
  }

 private:
  FilterShape shape_;
  Pages pages_;
};

Side filter_side(const std::string& name, const std::string& settings, std::uint64_t count, std::uint64_t seed,
                 std::function<std::uint64_t(std::uint64_t count, std::uint64_t seed)> work) {
  return {name, settings, "probe", [=](unsigned repetition) {
            return measure([&] {
              const std::uint64_t found = work(count, mix64(seed + repetition));
              require(found < count, "a filter half full finds everything");
              return count;
            });
          }};
}

std::vector<Side> filter_sides(const FilterMemory& memory, std::uint64_t count, std::uint64_t seed) {
  const auto with = [&memory](FilterProbeImpl impl, std::size_t shift) {
    return [&memory, impl, shift](std::uint64_t n, std::uint64_t from) {
      std::uint64_t found = 0;
      for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint64_t hash = mix64(from + i);
        found += has_filter_bits_with(impl, memory.block(hash, shift), static_cast<std::uint32_t>(hash), kProbes);
      }
      return found;
    };
  };
  const auto chosen = [&memory](std::uint64_t n, std::uint64_t from) {
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t hash = mix64(from + i);
      found += filter_may_contain(memory.page(hash), memory.shape(), hash);
    }
    return found;
  };
  const auto dependent = [&memory](std::uint64_t n, std::uint64_t from) {
    std::uint64_t found = 0;
    for (std::uint64_t i = 0; i < n; ++i) {  // the next hash waits for this answer
      const std::uint64_t hash = mix64(from + i + found);
      found += filter_may_contain(memory.page(hash), memory.shape(), hash);
    }
    return found;
  };
  const auto prefetched = [&memory](std::uint64_t n, std::uint64_t from) {
    std::uint64_t found = 0;
    std::uint64_t hashes[kBatch];
    for (std::uint64_t first = 0; first < n; first += kBatch) {
      for (std::size_t i = 0; i < kBatch; ++i) {
        hashes[i] = mix64(from + first + i);
        prefetch_filter(memory.page(hashes[i]), memory.shape(), hashes[i]);
      }
      for (const std::uint64_t hash : hashes) found += filter_may_contain(memory.page(hash), memory.shape(), hash);
    }
    return found;
  };
  const std::uint64_t rounded = count / kBatch * kBatch;
  std::vector<Side> sides = {filter_side("one by one", "the implementation chosen", rounded, seed, chosen),
                             filter_side("dependent", "each waits for the one before", rounded, seed, dependent),
                             filter_side("prefetched", "lines of 16 asked for first", rounded, seed, prefetched)};
  for (const FilterProbeImpl impl : {FilterProbeImpl::portable, FilterProbeImpl::avx2}) {
    if (!filter_probe_available(impl)) continue;
    const std::string name(filter_probe_name(impl));
    sides.push_back(filter_side(name, "blocks on one line", rounded, seed, with(impl, 0)));
    sides.push_back(filter_side(name + " unaligned", "blocks across two lines", rounded, seed, with(impl, 32)));
  }
  return sides;
}

// Measured over 200,000 keys; the classic filter is k bits spread over everything by double hashing.
void print_error_rates(std::uint64_t seed) {
  constexpr std::uint64_t kKeys = 200'000;
  constexpr std::uint64_t kAsked = 2'000'000;
  std::printf("\nfalse positives, %%\n%6s %7s | %9s %9s | %9s %9s\n", "bits", "probes", "blocked", "theory", "classic",
              "theory");
  for (const double bits : {5.0, 8.0, 10.0, 14.0, 20.0}) {
    const FilterShape shape = FilterShape::for_keys(kKeys, bits);
    FilterBuilder builder(shape);
    std::vector<bool> classic(shape.blocks() * format::kFilterBlockBits);
    const auto place = [&](std::uint64_t hash, unsigned probe) {
      return (hash + probe * (mix64(hash) | 1)) % classic.size();
    };
    for (std::uint64_t i = 0; i < kKeys; ++i) {
      const std::uint64_t hash = mix64(seed + i);
      builder.add(hash);
      for (unsigned probe = 0; probe < shape.probes; ++probe) classic[place(hash, probe)] = true;
    }
    std::vector<std::string> pages(shape.pages, std::string(kPageBytes, '\0'));
    for (std::uint32_t i = 0; i < shape.pages; ++i) {
      builder.write_page(i, {PageId{i + 1}, Generation{1}, kFileId, 0}, pages[i].data());
    }
    std::uint64_t blocked_wrong = 0;
    std::uint64_t classic_wrong = 0;
    for (std::uint64_t i = kKeys; i < kKeys + kAsked; ++i) {
      const std::uint64_t hash = mix64(seed + i);
      blocked_wrong += filter_may_contain(pages[filter_page_of(shape, hash)].data(), shape, hash);
      unsigned probe = 0;
      while (probe < shape.probes && classic[place(hash, probe)]) ++probe;
      classic_wrong += probe == shape.probes;
    }
    const auto percent = [](std::uint64_t wrong) { return 100.0 * static_cast<double>(wrong) / kAsked; };
    std::printf("%6.1f %7u | %9.4f %9.4f | %9.4f %9.4f\n", shape.bits_per_key(), shape.probes, percent(blocked_wrong),
                100 * shape.expected_false_positive_rate(), percent(classic_wrong),
                100 * classic_false_positive_rate(shape.bits_per_key(), shape.probes));
  }
}

void run_filters(const IndexOptions& options, Report& report) {
  struct Column {
    std::string title;
    std::vector<Series> all;
  };
  std::vector<Column> columns;
  for (const std::uint64_t bytes : {std::uint64_t{256} << 10, options.filter_bytes}) {
    const FilterMemory memory(bytes, options.seed);
    const std::string title = "filters of " + std::to_string(bytes >> 10) + " KiB";
    columns.push_back({title, report.alternate({title, filter_sides(memory, options.lookup_count, options.seed)},
                                               options.repetitions)});
  }
  std::printf("\nns per probe (%u bits of a block)\n%-22s", kProbes, "");
  for (const Column& column : columns) std::printf(" %26s", column.title.c_str());
  for (std::size_t side = 0; side < columns[0].all.size(); ++side) {
    std::printf("\n%-22s", columns[0].all[side].engine.c_str());
    for (const Column& column : columns) std::printf(" %26.1f", median_ns(column.all[side]));
  }
  std::printf("\n");
  print_error_rates(options.seed);
}

}  // namespace

int main(int argc, char** argv) {
  IndexOptions options;
  CLI::App app{"Learned index against branch pages, and the probes of filters, in memory"};
  add_options(app, options);
  app.add_option("--lookups", options.lookup_count, "lookups, and probes, per run")
      ->check(CLI::Range(16u, 50'000'000u))
      ->capture_default_str();
  app.add_option("--filter", options.filter_bytes, "bytes of the filters that fit no cache, e.g. 64MiB")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  int exit_code = 0;
  if (!parse_options(app, options, argc, argv, exit_code)) return exit_code;
  options.pin();

  Report report("bench_index", options.dir,
                options.describe({{"lookups", std::to_string(options.lookup_count)},
                                  {"filter", std::to_string(options.filter_bytes >> 20) + " MiB"}}),
                options.json_path);
  std::vector<IndexRow> rows;
  for (const char* kind : kKeyShapes) {
    rows.push_back(run_index(kind, options, report));
  }
  run_filters(options, report);
  print_index(rows);
  return report.exit_code();
}
