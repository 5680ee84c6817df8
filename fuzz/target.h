// SPDX-License-Identifier: MIT OR Apache-2.0
// The fuzz targets: one file each, one function that runs the engine on bytes and aborts when a promise is broken.
//
//   node_decode     a page: validate_node() refuses it, or every reader of lib/node stays inside it and finds its keys
//   packed_leaves   a page of packed leaves, or such leaves before they are packed: as node_decode
//   open_partition  a small file, damaged by a script that also repairs the checksums: open, check, read, write, close
//   overflow_read   a reference to overflow extents, as a hostile leaf would hold it
//   operations      a sequence of calls on a partition, against the model of tests/support/model_driver.h
//   wal_replay      a small log, damaged by a script that also repairs the checksums: replay, verify, go on writing
//   text_formats    what the command line reads: load formats, encodings, options, sizes
//
// With -Dfuzz=true (clang) each becomes a libFuzzer program: tools/dev fuzz [target] [seconds]. In every other build
// replay.cc is its main, and a test of suite `fuzz` runs the files of corpus/<target>/ through it, so that what was
// found once stays found. An input that showed a bug goes into the corpus under a name that says which.
//
// Invariants
//   1. A run depends on its input alone: no clock, no state left behind by the input before.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/assert.h"

// What must hold whatever the input is; a failure is a finding.
#define CAMBIUM_FUZZ_REQUIRE(cond, text) CAMBIUM_ASSERT_MSG(cond, text)

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
