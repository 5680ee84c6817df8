// SPDX-License-Identifier: MIT OR Apache-2.0
#include "peers/cambium_table.h"

#include "harness/fail.h"

namespace cambium::bench {

void CambiumTable::require_kind(std::string_view kind) {
  if (kind != "tree") fail("unsupported: this build has no tables of the kind '" + std::string(kind) + "'");
}

Task<Result<CambiumTable>> CambiumTable::open(Core& core, const Options& options, std::string_view kind) {
  require_kind(kind);
  Partition db = co_await check(Partition::open(core, options));
  co_return CambiumTable(std::move(db));
}

}  // namespace cambium::bench
