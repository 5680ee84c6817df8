// SPDX-License-Identifier: MIT OR Apache-2.0
// The small valid partition that open_partition damages, and a map of it: which page's checksum is kept where, and
// which pages stand between the superblock and a key.
//
// Made once, on a simulated disk, from fixed contents; a tree of three levels in a file of some hundred pages.
//
// Invariants
//   1. Both superblock slots describe the same contents, so whichever is believed, the answers are the same.
//   2. Seals stand children first: a page's seal comes before those of the pages that keep its checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <cambium/limits.h>
#include <cambium/options.h>
#include <cambium/rt/sim.h>

namespace cambium::fuzz {

inline constexpr std::string_view kSamplePath = "sample.cambium";
inline constexpr Options kSampleOptions{.path = kSamplePath, .memory_bytes = 768 * KiB, .cache_bytes = 96 * KiB};

struct Place {
  std::uint32_t page = 0;
  std::uint32_t offset = 0;
};

// A page whose checksum is in its header, and in the pages that point at it.
struct PageSeal {
  std::uint32_t page = 0;
  std::vector<Place> kept_at;
};

// An overflow value, whose checksum is in its reference.
struct ValueSeal {
  std::vector<std::uint32_t> pages;
  std::uint32_t value_bytes = 0;
  Place kept_at;
};

struct SampleEntry {
  std::string value;
  std::vector<std::uint32_t> pages;  // branches, leaf and overflow pages on the way to it
};

struct SampleFile {
  SimDisk disk;
  std::string bytes;
  std::map<std::string, SampleEntry> entries;
  std::vector<PageSeal> seals;
  std::vector<ValueSeal> values;
  std::vector<Place> pointers;            // of every ChildPointer in the file
  std::vector<std::uint32_t> foundation;  // pages that every answer depends on: superblocks, space map, catalog

  std::uint32_t pages() const noexcept { return static_cast<std::uint32_t>(bytes.size() / kPageBytes); }
};

const SampleFile& sample_file();

}  // namespace cambium::fuzz
