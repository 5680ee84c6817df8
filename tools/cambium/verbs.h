// SPDX-License-Identifier: MIT OR Apache-2.0
// The verbs, one coroutine each. What they do and print is in help.cc.
//
// Requires   session.db, open in the way the table in verbs.cc says.
// Suspends   all.
#pragma once

#include <string_view>

#include "cambium/cli.h"

namespace cambium::cli {

std::string_view kind_name(TableKind kind) noexcept;
std::string_view compression_name(Compression compression) noexcept;

Answer verb_create(Session& session);
Answer verb_put(Session& session);
Answer verb_get(Session& session);
Answer verb_del(Session& session);
Answer verb_scan(Session& session);
Answer verb_load(Session& session);
Answer verb_dump(Session& session);
Answer verb_batch(Session& session);
Answer verb_table(Session& session);
Answer verb_levels(Session& session);
Answer verb_sstable(Session& session);
Answer verb_stat(Session& session);
Answer verb_check(Session& session);
Answer verb_salvage(Session& session);
Answer verb_compact(Session& session);
Answer verb_stress(Session& session);
Answer verb_stress_verify(Session& session);
Answer verb_bench(Session& session);
Answer verb_doctor(Session& session);

}  // namespace cambium::cli
