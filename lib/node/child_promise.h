// SPDX-License-Identifier: MIT OR Apache-2.0
// What a branch promises about one of its children, kept apart from the branch: the bounds of its keys, and how many
// entries it has. Pure.
//
// Noted by a lookup that has just searched the branch and waits for the child now. When the child comes, it is held
// against the note; the branch's lines, which a thousand other lookups have pushed out of the processor's cache
// meanwhile, are not asked for again.
//
// Invariants
//   1. broken_by() answers as validate_child() would with the branch at hand.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cambium/rt/bytes.h>

#include "node/node_span.h"
#include "node/node_view.h"

namespace cambium::node {

class ChildPromise {
 public:
  static constexpr std::size_t kBoundBytesMax = 24;

  // Separators are short as a rule; a bound beyond kBoundBytesMax leaves the promise unknown.
  void note(const NodeView& parent, std::size_t index) noexcept;
  bool known() const noexcept { return known_; }
  // Requires: known().
  const char* broken_by(const NodeView& child) const noexcept;
  const char* broken_by(const NodeSpan& child) const noexcept;

 private:
  bool known_ = false;
  bool has_low_ = false;
  bool has_high_ = false;
  std::uint8_t low_bytes_ = 0;
  std::uint8_t high_bytes_ = 0;
  std::uint64_t entries_ = 0;
  char low_[kBoundBytesMax];  // what is not noted is not looked at
  char high_[kBoundBytesMax];
};

}  // namespace cambium::node
