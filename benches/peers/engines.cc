// SPDX-License-Identifier: MIT OR Apache-2.0
#include "peers/engines.h"

#include "harness/fail.h"

namespace cambium::bench {
namespace {

struct Engine {
  const char* name;
  std::unique_ptr<KvAdapter> (*make)();
};

// The null entry keeps the table valid C++ in a build without any engine.
constexpr Engine kEngines[] = {
#ifdef CAMBIUM_BENCH_CAMBIUM
    {"cambium", make_cambium_adapter},
#endif
#ifdef CAMBIUM_BENCH_LMDB
    {"lmdb", make_lmdb_adapter},
#endif
#ifdef CAMBIUM_BENCH_ROCKSDB
    {"rocksdb", make_rocksdb_adapter},
#endif
    {nullptr, nullptr},
};

}  // namespace

std::vector<std::string> engine_names() {
  std::vector<std::string> names;
  for (const Engine& engine : kEngines) {
    if (engine.name != nullptr) names.emplace_back(engine.name);
  }
  return names;
}

std::unique_ptr<KvAdapter> make_engine(std::string_view name) {
  std::string known;
  for (const Engine& engine : kEngines) {
    if (engine.name == nullptr) continue;
    if (engine.name == name) return engine.make();
    known += std::string(known.empty() ? "" : ", ") + engine.name;
  }
  fail("no engine '" + std::string(name) + "' in this build; it has: " + (known.empty() ? "none" : known));
}

std::unique_ptr<ConcurrentStore> make_store(std::string_view name, [[maybe_unused]] const StoreOptions& options) {
#ifdef CAMBIUM_BENCH_CAMBIUM
  if (name == "cambium") return make_cambium_store(options);
#endif
#ifdef CAMBIUM_BENCH_ROCKSDB
  if (name == "rocksdb") return make_rocksdb_store(options);
#endif
  fail("no store '" + std::string(name) + "' in this build; RocksDB is made by tools/build-rocksdb");
}

}  // namespace cambium::bench
