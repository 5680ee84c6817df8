// SPDX-License-Identifier: MIT OR Apache-2.0
// The mutator of wal_replay: half of the time it adds an edit to the script where the structure of the log lies, with a
// repaired checksum; else libFuzzer changes the script's bytes.
#include "base/random.h"
#include "fuzz/sample_log.h"
#include "fuzz/tape_writer.h"
#include "fuzz/target.h"

namespace cambium::fuzz {
namespace {

// Fields of group and segment headers, the first records, and now and then anything.
std::uint64_t some_offset(rt::Random& random) {
  const std::uint64_t kind = random.below(10);
  if (kind < 5) return 4 + random.below(60);
  if (kind < 8) return 64 + random.below(40);
  return random.below(kPageBytes);
}

void write_edit(rt::Random& random, const SampleLog& sample, TapeWriter& out) {
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
    case LogEdit::set:
      out.number(some_offset(random), kPageBytes);
      out.fill(random);
      break;
    case LogEdit::flip:
    case LogEdit::add:
      out.number(some_offset(random), kPageBytes);
      if (edit == LogEdit::add) {
        out.addend(random);
      } else {
        out.byte(random.below(8));
      }
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
  fuzz::TapeWriter edit;
  if (size == 0) edit.byte(random.next());
  const bool finished = ((size == 0 ? edit.data()[0] : data[0]) & 1) != 0;
  fuzz::write_edit(random, fuzz::sample_log(finished), edit);
  return fuzz::append_edit(edit, data, size, max_size);
}
