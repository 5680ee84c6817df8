// SPDX-License-Identifier: MIT OR Apache-2.0
// The mutator of open_partition: half of the time it adds an edit to the script where the structure of the file lies,
// with repaired checksums; else libFuzzer changes the script's bytes.
#include "base/random.h"
#include "fuzz/damage_script.h"
#include "fuzz/tape_writer.h"
#include "fuzz/target.h"

namespace cambium::fuzz {
namespace {

std::uint32_t some_page(rt::Random& random, const SampleFile& sample) {
  const std::uint64_t kind = random.below(10);
  if (kind < 2) return static_cast<std::uint32_t>(random.below(sample.pages()));
  if (kind < 4) return sample.foundation[random.below(sample.foundation.size())];
  return sample.seals[random.below(sample.seals.size())].page;
}

// Where lengths, counts, ids and pointers are, rather than in the middle of a page.
std::uint64_t some_offset(rt::Random& random, const SampleFile& sample, std::uint32_t page) {
  const std::uint64_t kind = random.below(10);
  if (kind < 3) return 4 + random.below(36);
  if (kind < 6 && page < 4) return random.chance(0.8) ? 32 + random.below(104) : 256 + random.below(16);
  if (kind < 8) return 40 + random.below(300);
  if (kind < 9) {
    for (const Place& place : sample.pointers) {
      if (place.page == page && random.chance(0.3)) return place.offset + random.below(16);
    }
    for (const ValueSeal& value : sample.values) {
      if (value.kept_at.page == page && random.chance(0.5)) return value.kept_at.offset - 4 + random.below(24);
    }
  }
  return random.below(kPageBytes);
}

void write_edit(rt::Random& random, const SampleFile& sample, TapeWriter& out) {
  const std::uint64_t kind = random.below(10);
  const Edit edit = kind < 3   ? Edit::set
                    : kind < 4 ? Edit::flip
                    : kind < 7 ? Edit::add
                    : kind < 9 ? Edit::redirect
                               : static_cast<Edit>(random.below(kEdits));
  out.byte(static_cast<std::uint8_t>(edit) | (random.chance(0.9) ? kRepair : 0));
  const std::uint32_t page = some_page(random, sample);
  switch (edit) {
    case Edit::set:
      out.number(page, sample.pages());
      out.number(some_offset(random, sample, page), kPageBytes);
      out.fill(random);
      break;
    case Edit::flip:
    case Edit::add:
      out.number(page, sample.pages());
      out.number(some_offset(random, sample, page), kPageBytes);
      if (edit == Edit::add) {
        out.addend(random);
      } else {
        out.byte(random.below(8));
      }
      break;
    case Edit::redirect:
      out.number(random.below(sample.pointers.size()), sample.pointers.size());
      out.number(random.below(sample.pointers.size()), sample.pointers.size());
      break;
    case Edit::copy:
      out.number(some_page(random, sample), sample.pages());
      out.number(page, sample.pages());
      break;
    case Edit::zero:
    case Edit::cut:
      out.number(page, sample.pages());
      if (edit == Edit::cut) out.byte(random.below(2));
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
  fuzz::write_edit(random, fuzz::sample_file(), edit);
  return fuzz::append_edit(edit, data, size, max_size);
}
