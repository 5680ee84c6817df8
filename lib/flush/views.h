// SPDX-License-Identifier: MIT OR Apache-2.0
// Views: which generations are being read, and by how many.
//
// A view is a generation with a reader count. The newest view belongs to the partition; lookups that wait for a page,
// scans and snapshots hold views too, and the space map keeps every page that a held view can see.
//
// Invariants
//   1. Views ascend by generation; the newest is always held.
#pragma once

#include <cstdint>
#include <list>
#include <utility>

#include <cambium/ids.h>

#include "base/assert.h"
#include "flush/table_set.h"
#include "space/space_map.h"

namespace cambium {

class Views {
 public:
  Views(SpaceMap& space, TableSet& tables, Generation generation) : space_(space), tables_(tables) {
    views_.push_back({generation, 1});
    space_.retain(generation);
  }
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;
  ~Views() { CAMBIUM_ASSERT(views_.size() == 1 && views_.front().references == 1); }

  struct View {
    Generation generation;
    std::uint64_t references;
  };

  View& acquire() noexcept {
    ++views_.back().references;
    return views_.back();
  }
  View& acquire(View& view) noexcept {
    ++view.references;
    return view;
  }
  void release(View& view) {
    if (--view.references != 0) return;
    const Generation dead = view.generation;
    const bool oldest = &view == &views_.front();
    views_.remove_if([&](const View& v) { return &v == &view; });
    space_.release(dead);
    if (oldest) tables_.forget_before(views_.front().generation);
  }
  // A commit has made a new generation: it is what everybody sees from now on.
  void advance(Generation generation) {
    View& old = views_.back();
    views_.push_back({generation, 1});
    space_.retain(generation);
    release(old);
  }

  Generation newest() const noexcept { return views_.back().generation; }
  TableSet& tables() noexcept { return tables_; }
  // Held by anybody besides the partition itself.
  bool idle() const noexcept { return views_.size() == 1 && views_.front().references == 1; }

 private:
  SpaceMap& space_;
  TableSet& tables_;
  std::list<View> views_;
};

// Holds a view for its scope.
class ViewRef {
 public:
  ViewRef() noexcept = default;
  explicit ViewRef(Views& views) noexcept : views_(&views), view_(&views.acquire()) {}
  ViewRef(const ViewRef& other) noexcept
      : views_(other.views_), view_(other.view_ != nullptr ? &other.views_->acquire(*other.view_) : nullptr) {}
  ViewRef(ViewRef&& other) noexcept : views_(other.views_), view_(std::exchange(other.view_, nullptr)) {}
  ViewRef& operator=(ViewRef other) noexcept {
    std::swap(views_, other.views_);
    std::swap(view_, other.view_);
    return *this;
  }
  ~ViewRef() {
    if (view_ != nullptr) views_->release(*view_);
  }
  Generation generation() const noexcept { return view_->generation; }

 private:
  Views* views_ = nullptr;
  Views::View* view_ = nullptr;
};

}  // namespace cambium
