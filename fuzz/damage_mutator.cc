// SPDX-License-Identifier: MIT OR Apache-2.0
// The mutator of open_partition: half of the time it adds an edit to the script where the structure of the file lies,
// with repaired checksums; else libFuzzer changes the script's bytes.
#include <algorithm>
#include <cstring>

#include "base/random.h"
#include "fuzz/damage_script.h"
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

void write_edit(rt::Random& random, const SampleFile& sample, Writer& out) {
  const std::uint64_t kind = random.below(10);
  const Edit edit = kind < 3   ? Edit::set
                    : kind < 4 ? Edit::flip
                    : kind < 7 ? Edit::add
                    : kind < 9 ? Edit::redirect
                               : static_cast<Edit>(random.below(kEdits));
  out.byte(static_cast<std::uint8_t>(edit) | (random.chance(0.9) ? kRepair : 0));
  const std::uint32_t page = some_page(random, sample);
  switch (edit) {
    case Edit::set: {
      out.number(page, sample.pages());
      out.number(some_offset(random, sample, page), kPageBytes);
      const std::uint64_t count = std::uint64_t{1} << random.below(4);
      out.byte(count - 1);
      const std::uint64_t fill = random.below(3);
      for (std::uint64_t i = 0; i < count; ++i) out.byte(fill == 0 ? 0 : fill == 1 ? 0xff : random.next());
      break;
    }
    case Edit::flip:
    case Edit::add:
      out.number(page, sample.pages());
      out.number(some_offset(random, sample, page), kPageBytes);
      if (edit == Edit::add) out.byte(random.below(4));
      out.byte(edit == Edit::add ? 128 + random.between(0, 6) - 3 : random.below(8));
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
  fuzz::Writer edit;
  if (size == 0) edit.byte(random.next());
  fuzz::write_edit(random, fuzz::sample_file(), edit);
  if (size + edit.size() > max_size) size = std::min<std::size_t>(size, 1);
  if (size + edit.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data + size, edit.data(), edit.size());
  return size + edit.size();
}
