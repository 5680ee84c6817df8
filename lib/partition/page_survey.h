// SPDX-License-Identifier: MIT OR Apache-2.0
// Which pages of a version were met, each at most once, compared with what the space map says is in use. Pure.
//
// Invariants
//   1. A run is taken whole or not at all.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <cambium/rt/result.h>

#include "base/text.h"
#include "format/space_page.h"
#include "space/generations.h"

namespace cambium {

class PageSurvey {
 public:
  // `used` is the space map's word of the same version, a bit for each page of the file. Both outlive the survey.
  PageSurvey(const std::vector<bool>& used, std::string_view file) : used_(used), file_(file), met_(used.size()) {}

  // Errors: corruption, and nothing is taken: the run was met before, or cannot be one.
  Status take(PageRun run) {
    const std::uint64_t first = raw(run.first);
    if (!format::holds_data(run.first, run.pages, used_.size())) {
      return bad(first, "lies outside of the data of the file");
    }
    for (std::uint64_t page = first; page < first + run.pages; ++page) {
      if (met_[page]) return bad(page, "is referred to twice");
    }
    for (std::uint64_t page = first; page < first + run.pages; ++page) met_[page] = true;
    count_ += run.pages;
    return {};
  }
  // Is all of a run that was taken in use, as the space map says? The run may be read in any case.
  Status expect_used(PageRun run) const {
    for (std::uint64_t page = raw(run.first); page < raw(run.first) + run.pages; ++page) {
      if (!used_[page]) return bad(page, "is in use, yet free in the space map: it may be overwritten");
    }
    return {};
  }
  bool met(PageId page) const noexcept { return met_[raw(page)]; }
  std::uint64_t count() const noexcept { return count_; }

 private:
  Status bad(std::uint64_t page, const char* what) const {
    return Error(Errc::corruption, rt::str("page ", page, " of ", file_, " ", what), "run `cambium salvage`");
  }

  const std::vector<bool>& used_;
  std::string_view file_;
  std::vector<bool> met_;
  std::uint64_t count_ = 0;
};

}  // namespace cambium
