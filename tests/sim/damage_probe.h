// SPDX-License-Identifier: MIT OR Apache-2.0
// DamageProbe: asks a table of a partition that may be damaged everything it holds, and sorts the answers into right,
// refused and wrong.
//
// Right is a value that the file may hold: the last one whose flush was acknowledged, or one written after it. Refused
// is corruption. Anything else (another value, none, another error, a scan that skips) is wrong.
//
// Units      pages of 4 KiB; entries are numbered, key_of() and value_of() say what they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/partition.h>
#include <cambium/rt/sim.h>

namespace cambium::test {

inline constexpr Bytes kDamagedFile = "damaged.cambium";
inline constexpr Options kDamageOptions{
    .path = kDamagedFile, .mode = OpenMode::open, .memory_bytes = 1 * MiB, .cache_bytes = 128 * KiB};

std::string key_of(int i);
std::string value_of(int i, int round);  // every 20th is a long value, of two pages

// What the file may hold: per entry the values that are right, the oldest first.
class Expectation {
 public:
  explicit Expectation(int entries, TableKind kind = TableKind::tree);  // round 0 of each

  TableKind kind() const noexcept { return kind_; }
  int entries() const noexcept { return static_cast<int>(values_.size()); }
  void written(int i, int round) { values_[static_cast<std::size_t>(i)].push_back(value_of(i, round)); }
  void acknowledged();  // nothing older than the last value of each is right any more
  bool allows(int i, Bytes value) const;
  Bytes key(int i) const { return keys_[static_cast<std::size_t>(i)]; }

 private:
  TableKind kind_;
  std::vector<std::string> keys_;
  std::vector<std::vector<std::string>> values_;
};

struct Answers {
  Errc open = Errc::ok;
  std::string open_message;
  Errc check = Errc::ok;
  bool superblock_damaged = false;
  int right = 0;
  int refused = 0;
  int wrong = 0;
  bool scan_whole = false;
  bool changed = false;  // opening or asking wrote to the file
  std::string first_wrong;
  std::vector<std::string> refusals;  // the messages, each once

  void expect(bool right_answer, std::string_view what, int at);
  void refuse(const Error& error);
  bool unharmed(const Expectation& expectation) const noexcept {
    return open == Errc::ok && check == Errc::ok && right == expectation.entries() && scan_whole && !superblock_damaged;
  }
};

// Makes the file with round 0 of every entry, `per_flush` of them at a time, and closes it.
SimDisk filled_disk(int entries, int per_flush, TableKind kind = TableKind::tree);
// Opens, asks for every entry, scans, checks, closes.
Answers ask_disk(SimDisk& disk, const Expectation& expectation);

std::string content_of_file(const SimDisk& disk);

}  // namespace cambium::test
