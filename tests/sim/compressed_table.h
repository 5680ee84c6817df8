// SPDX-License-Identifier: MIT OR Apache-2.0
// What the tests of compressed level stores put into them.
#pragma once

#include <functional>
#include <map>
#include <string>

#include <cambium/partition.h>
#include <cambium/rt/check.h>

#include "base/random.h"
#include "base/text.h"

namespace cambium::test {

inline constexpr const char* kPackedFile = "packed.cambium";
inline constexpr Options kPackedOptions{
    .path = kPackedFile, .memory_bytes = 24 * MiB, .write_buffer_bytes = 4 * MiB, .cache_bytes = 6 * MiB};

using PackedModel = std::map<std::string, std::string>;

inline std::string packed_key(std::uint64_t i) { return rt::str("user ", i / 40, " event ", 1'000'000 + i); }

// Mostly text with a beat to it; of some keys nothing a codec could use, of a few too long for a leaf.
inline std::string packed_value(const std::string& key, std::uint64_t round) {
  rt::Random random(std::hash<std::string>()(key) + round);
  std::string value;
  const std::uint64_t kind = random.below(100);
  const std::uint64_t bytes = kind == 0 ? random.between(1500, 9000) : random.between(0, 300);
  if (kind < 10) {
    value.resize(bytes);
    random.bytes(value.data(), bytes);
    return value;
  }
  while (value.size() < bytes)
    value += rt::str("{\"field\":", random.below(9), ",\"state\":\"", key.substr(0, 6), "\"},");
  value.resize(bytes);
  return value;
}

inline Task<Result<Partition>> open_packed(Core& core, Options options) {
  Partition db = co_await check(Partition::open(core, options));
  co_return db;
}

// In so many flushes, each a run, the later ones over keys of the earlier ones; some keys are deleted again.
inline Task<Status> fill_packed(Partition& db, const Table& table, std::uint64_t keys, std::uint64_t rounds,
                                PackedModel& model) {
  rt::Random random(5);
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint64_t i = 0; i < keys; ++i) {
      if (random.below(rounds) != 0 && round != 0) continue;
      const std::string key = packed_key(i);
      if (round != 0 && random.below(4) == 0) {
        co_await check(db.del(table, key));
        model.erase(key);
        continue;
      }
      const std::string value = packed_value(key, round);
      co_await check(db.put(table, key, value));
      model[key] = value;
    }
    co_await check(db.flush({.trim = false}));
  }
  co_return Status();
}

}  // namespace cambium::test
