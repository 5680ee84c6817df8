// SPDX-License-Identifier: MIT OR Apache-2.0
// The engines this build can measure, by name.
//
// Which ones are there is decided when the benchmarks are configured: a peer whose library is missing is
// absent, never replaced by something weaker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/concurrent_store.h"
#include "harness/kv_adapter.h"

namespace cambium::bench {

std::vector<std::string> engine_names();
std::unique_ptr<KvAdapter> make_engine(std::string_view name);  // an unknown name ends the program

// For many clients at once: cambium, rocksdb.
std::unique_ptr<ConcurrentStore> make_store(std::string_view name, const StoreOptions& options);

// One maker per adapter file; defined only when the engine is configured in.
std::unique_ptr<KvAdapter> make_cambium_adapter();
std::unique_ptr<KvAdapter> make_lmdb_adapter();
std::unique_ptr<KvAdapter> make_rocksdb_adapter();
std::unique_ptr<ConcurrentStore> make_cambium_store(const StoreOptions& options);
std::unique_ptr<ConcurrentStore> make_rocksdb_store(const StoreOptions& options);

}  // namespace cambium::bench
