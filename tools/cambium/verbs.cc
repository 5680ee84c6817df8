// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/verbs.h"

#include <array>

#include <cambium/options.h>

#include "base/assert.h"

namespace cambium::cli {
namespace {

// Opening reserves the memory, so verbs that touch few pages ask for little.
constexpr std::uint64_t kLittle = 16 * MiB;
constexpr std::uint64_t kSome = 64 * MiB;
constexpr std::uint64_t kMuch = 256 * MiB;

constexpr std::array<Verb, 18> kVerbs = {{
    {"create", Access::create, kLittle, &verb_create},
    {"put", Access::write, kLittle, &verb_put},
    {"get", Access::read, kLittle, &verb_get},
    {"del", Access::write, kLittle, &verb_del},
    {"scan", Access::read, kSome, &verb_scan},
    {"load", Access::write_or_create, kMuch, &verb_load},
    {"dump", Access::read, kSome, &verb_dump},
    {"batch", Access::write_or_create, kSome, &verb_batch},
    {"table", Access::write, kLittle, &verb_table},
    {"levels", Access::read, kLittle, &verb_levels},
    {"sstable", Access::read, kLittle, &verb_sstable},
    {"stat", Access::read, kLittle, &verb_stat},
    {"check", Access::none, kSome, &verb_check},
    {"salvage", Access::none, kMuch, &verb_salvage},
    {"compact", Access::write, kSome, &verb_compact},
    {"stress", Access::write_or_create, kSome, &verb_stress},
    {"bench", Access::create, kMuch, &verb_bench},
    {"doctor", Access::none, 0, &verb_doctor},
}};
constexpr Verb kTableList = {"table", Access::read, kLittle, &verb_table};
constexpr Verb kStressVerify = {"stress", Access::read, kSome, &verb_stress_verify};

}  // namespace

const Verb& find_verb(const Arguments& arguments) noexcept {
  if (arguments.verb == "stress" && arguments.verify) return kStressVerify;
  if (arguments.verb == "table" && arguments.action == "list") return kTableList;
  for (const Verb& verb : kVerbs) {
    if (verb.name == arguments.verb) return verb;
  }
  CAMBIUM_UNREACHABLE();  // the parser knows the same names
}

}  // namespace cambium::cli
