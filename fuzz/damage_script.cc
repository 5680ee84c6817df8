// SPDX-License-Identifier: MIT OR Apache-2.0
#include "fuzz/damage_script.h"

#include <algorithm>
#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"
#include "format/child_pointer.h"
#include "format/page_header.h"

namespace cambium::fuzz {
namespace {

constexpr unsigned kEditsMax = 64;  // of a script: enough for any shape, and a bound on its time
constexpr std::size_t kChecksumAt = offsetof(format::ChildPointer, checksum);

class Damage {
 public:
  explicit Damage(const SampleFile& sample)
      : sample_(sample),
        seals_(sample.seals),
        edited_(sample.pages()),
        to_seal_(sample.pages()),
        sealed_(sample.pages()) {
    file_.bytes = sample.bytes;
    file_.forged.resize(sample.pages());
    for (std::uint32_t page = 0; page < sample.pages(); ++page) checksums_.push_back(rt::load_le32(at({page, 0})));
  }

  DamagedFile run(test::Draws& script) {
    for (unsigned left = kEditsMax; left != 0 && !script.ended(); --left) edit(script);
    repair();
    for (std::uint32_t page = 0; page < sample_.pages(); ++page) {
      file_.forged[page] = edited_[page] && sealed_[page];
      file_.any_forged = file_.any_forged || file_.forged[page];
    }
    file_.bytes.resize(kept_bytes_);
    file_.changed = file_.bytes != sample_.bytes;
    return std::move(file_);
  }

 private:
  char* at(Place place) { return file_.bytes.data() + std::size_t{place.page} * kPageBytes + place.offset; }

  void edit(test::Draws& script) {
    const test::Draws::Tape first = script.bytes(1);
    const bool repaired = first[0] >= kRepair;
    switch (static_cast<Edit>(first[0] % kRepair % kEdits)) {
      case Edit::set: {
        const Place place = draw_place(script);
        const test::Draws::Tape bytes = script.bytes(1 + script.below(16));
        const std::size_t count = std::min<std::size_t>(bytes.size(), kPageBytes - place.offset);
        if (count != 0) std::memcpy(at(place), bytes.data(), count);
        touch(place.page, repaired);
        break;
      }
      case Edit::flip: {
        const Place place = draw_place(script);
        *at(place) = static_cast<char>(*at(place) ^ (1 << script.below(8)));
        touch(place.page, repaired);
        break;
      }
      case Edit::add: {
        Place place = draw_place(script);
        const std::size_t width = std::size_t{1} << script.below(4);
        place.offset = std::min<std::uint32_t>(place.offset, static_cast<std::uint32_t>(kPageBytes - width));
        std::uint64_t number = 0;
        std::memcpy(&number, at(place), width);
        number += script.below(256) - 128;
        std::memcpy(at(place), &number, width);
        touch(place.page, repaired);
        break;
      }
      case Edit::redirect: {
        const Place to = sample_.pointers[script.below(sample_.pointers.size())];
        const Place from = sample_.pointers[script.below(sample_.pointers.size())];
        std::memmove(at(to), at(from), sizeof(format::ChildPointer));
        const std::uint32_t child = rt::load_le32(at(to));
        for (PageSeal& seal : seals_) {
          if (seal.page == child)
            seal.kept_at.push_back({to.page, to.offset + static_cast<std::uint32_t>(kChecksumAt)});
        }
        touch(to.page, repaired);
        break;
      }
      case Edit::copy: {
        const std::uint32_t from = draw_page(script);
        const std::uint32_t to = draw_page(script);
        std::memmove(at({to, 0}), at({from, 0}), kPageBytes);
        if (repaired) format::header_of(at({to, 0})).page_id = to;
        touch(to, repaired);
        break;
      }
      case Edit::zero: {
        const std::uint32_t page = draw_page(script);
        std::memset(at({page, 0}), 0, kPageBytes);
        touch(page, repaired);
        break;
      }
      case Edit::cut:
        kept_bytes_ = std::min<std::size_t>(kept_bytes_, draw_page(script) * kPageBytes + script.below(2) * 100);
        break;
    }
  }
  std::uint32_t draw_page(test::Draws& script) { return static_cast<std::uint32_t>(script.below(sample_.pages())); }
  Place draw_place(test::Draws& script) {
    const std::uint32_t page = draw_page(script);
    return {page, static_cast<std::uint32_t>(script.below(kPageBytes))};
  }
  void touch(std::uint32_t page, bool repaired) {
    edited_[page] = true;
    if (repaired) to_seal_[page] = true;
  }

  // Children first, so one round does it unless a redirected pointer made a page its own ancestor's parent.
  void repair() {
    for (const ValueSeal& value : sample_.values) seal_value(value);
    for (int round = 0; round < 3; ++round) {
      for (const PageSeal& seal : seals_) {
        if (to_seal_[seal.page]) seal_page(seal);
      }
    }
  }
  void seal_value(const ValueSeal& value) {
    const auto touched = [this](std::uint32_t page) { return bool{to_seal_[page]}; };
    if (std::none_of(value.pages.begin(), value.pages.end(), touched)) return;
    std::uint32_t checksum = 0;
    std::size_t left = value.value_bytes;
    for (const std::uint32_t page : value.pages) {
      const std::size_t bytes = std::min<std::size_t>(left, kPageBytes);
      checksum = rt::crc32c(at({page, 0}), bytes, checksum);
      left -= bytes;
      sealed_[page] = true;
    }
    std::memcpy(at(value.kept_at), &checksum, sizeof checksum);
    to_seal_[value.kept_at.page] = true;
  }
  void seal_page(const PageSeal& seal) {
    to_seal_[seal.page] = false;
    sealed_[seal.page] = true;
    const std::uint32_t before = checksums_[seal.page];
    const std::uint32_t after = format::seal_page(at({seal.page, 0}));
    if (after == before) return;
    checksums_[seal.page] = after;
    for (const Place place : seal.kept_at) {
      // Only where the old checksum still stands: the edits may have moved or changed what was there.
      if (rt::load_le32(at(place)) != before) continue;
      std::memcpy(at(place), &after, sizeof after);
      to_seal_[place.page] = true;
    }
  }

  const SampleFile& sample_;
  std::vector<PageSeal> seals_;
  std::vector<bool> edited_;
  std::vector<bool> to_seal_;
  std::vector<bool> sealed_;
  std::vector<std::uint32_t> checksums_;
  std::size_t kept_bytes_ = sample_.bytes.size();
  DamagedFile file_;
};

}  // namespace

bool DamagedFile::must_be_right(const SampleEntry& entry) const {
  if (!any_forged) return true;
  const auto is_forged = [this](std::uint32_t page) { return bool{forged[page]}; };
  const std::vector<std::uint32_t>& foundation = sample_file().foundation;
  return std::none_of(foundation.begin(), foundation.end(), is_forged) &&
         std::none_of(entry.pages.begin(), entry.pages.end(), is_forged);
}

DamagedFile damaged(test::Draws& script) { return Damage(sample_file()).run(script); }

}  // namespace cambium::fuzz
