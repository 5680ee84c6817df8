// SPDX-License-Identifier: MIT OR Apache-2.0
// Damage to the sample file as a short script of edits, and the repair of checksums that makes damage look intact.
//
// The input of open_partition is the script, not the file: a file is 1,000 times as long, and hardly any change of it
// would get past the checksums. An edit may ask for repair: then its page's checksum is made right again, and that in
// its parent, and so on up to the superblock, as somebody would who makes a file to hurt.
//
// A script is a tape (tests/support/draws.h); each edit is one byte of kind, with kRepair or not, and its arguments.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/sample_file.h"
#include "support/draws.h"

namespace cambium::fuzz {

enum class Edit : std::uint8_t {
  set,       // page, offset, count, bytes
  flip,      // page, offset, bit
  add,       // page, offset, width, amount: to a little-endian number
  redirect,  // pointer, pointer: the first becomes a copy of the second
  copy,      // page, page: the second becomes a copy of the first, with its own page id
  zero,      // page
  cut,       // pages: the file ends there
};
inline constexpr unsigned kEdits = 7;
inline constexpr std::uint8_t kRepair = 0x80;

struct DamagedFile {
  std::string bytes;
  bool changed = false;
  std::vector<bool> forged;  // pages that were edited and whose checksums nevertheless are right
  bool any_forged = false;

  // Nothing that the answer for this entry depends on was forged: it must be right, or refused.
  bool must_be_right(const SampleEntry& entry) const;
};

DamagedFile damaged(test::Draws& script);

}  // namespace cambium::fuzz
