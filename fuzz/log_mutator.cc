// SPDX-License-Identifier: MIT OR Apache-2.0
// The mutator of wal_replay: half of the time it adds an edit to the script where the structure of the log lies, with a
// repaired checksum; else libFuzzer changes the script's bytes.
#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "fuzz/sample_log.h"
#include "fuzz/target.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace cambium::fuzz {
namespace {

// Bytes as Draws takes them: the highest first, two for what is larger than a byte.
class Writer {
 public:
  void byte(std::uint64_t value) { bytes_[size_++] = static_cast<std::uint8_t>(value); }
  void number(std::uint64_t value, std::uint64_t bound) {
    if (bound > 0x100) byte(value >> 8);
    byte(value & 0xff);
  }
  const std::uint8_t* data() const { return bytes_; }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t bytes_[40];
  std::size_t size_ = 0;
};

// Fields of group and segment headers, the first records, and now and then anything.
std::uint64_t some_offset(rt::Random& random) {
  const std::uint64_t kind = random.below(10);
  if (kind < 5) return 4 + random.below(60);
  if (kind < 8) return 64 + random.below(40);
  return random.below(kPageBytes);
}

void write_edit(rt::Random& random, const SampleLog& sample, Writer& out) {
  const std::uint64_t kind = random.below(10);
  const LogEdit edit = kind < 3   ? LogEdit::set
                       : kind < 4 ? LogEdit::flip
                       : kind < 7 ? LogEdit::add
                       : kind < 9 ? LogEdit::copy
                                  : static_cast<LogEdit>(random.below(kLogEdits));
  const auto& groups = sample.group_blocks;
  const auto some_block = [&]() -> std::uint64_t {
    return random.chance(0.7) ? groups[random.below(groups.size())] : random.below(sample.blocks());
  };
  out.byte(static_cast<std::uint8_t>(edit) | (random.chance(0.8) ? kRepairLog : 0));
  out.number(some_block(), sample.blocks());
  switch (edit) {
    case LogEdit::set: {
      out.number(some_offset(random), kPageBytes);
      const std::uint64_t count = std::uint64_t{1} << random.below(4);
      out.byte(count - 1);
      const std::uint64_t fill = random.below(3);
      for (std::uint64_t i = 0; i < count; ++i) out.byte(fill == 0 ? 0 : fill == 1 ? 0xff : random.next());
      break;
    }
    case LogEdit::flip:
    case LogEdit::add:
      out.number(some_offset(random), kPageBytes);
      if (edit == LogEdit::add) out.byte(random.below(4));
      out.byte(edit == LogEdit::add ? 128 + random.between(0, 6) - 3 : random.below(8));
      break;
    case LogEdit::copy:
      out.number(some_block(), sample.blocks());
      break;
    case LogEdit::zero:
    case LogEdit::cut:
      break;
  }
}

}  // namespace
}  // namespace cambium::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using namespace cambium;
  rt::Random random(seed);
  if (random.chance(0.5)) return LLVMFuzzerMutate(data, size, max_size);
  fuzz::Writer edit;
  if (size == 0) edit.byte(random.next());
  const bool finished = ((size == 0 ? edit.data()[0] : data[0]) & 1) != 0;
  fuzz::write_edit(random, fuzz::sample_log(finished), edit);
  if (size + edit.size() > max_size) size = std::min<std::size_t>(size, 1);
  if (size + edit.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + size, edit.data(), edit.size());
  return size + edit.size();
}
