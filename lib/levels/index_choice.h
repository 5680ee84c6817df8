// SPDX-License-Identifier: MIT OR Apache-2.0
// Which sstables get a learned index: what the table asks for, and for `automatic` what was measured. Pure.
#pragma once

#include <cstdint>

#include <cambium/ids.h>

namespace cambium {

// Is one to be tried for an sstable of so many leaves? It is written if it then has fewer pages than the branches that a
// lookup would pass (LearnedIndexBuilder::worth()), which takes at least two branches above the leaves: 170 leaves or so.
constexpr bool learned_pays(TableIndex chosen, std::uint32_t leaves) noexcept {
  return chosen == TableIndex::learned && leaves > 1;
}

}  // namespace cambium
