// SPDX-License-Identifier: MIT OR Apache-2.0
#include "node/node_span.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "lib/node/packed_page.h"
#include "node/child_promise.h"

namespace cambium {
namespace {

using node::NodeEntry;
using node::NodeSpan;
using node::NodeView;

std::vector<NodeEntry> entries_of(const std::vector<std::string>& keys) {
  std::vector<NodeEntry> entries(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) entries[i].key = keys[i];
  return entries;
}

// What a branch says of a child that is several leaves: all their entries, the first key of the first, the last of the
// last.
TEST_CASE("node span: several leaves keep what their parent promises as one") {
  const std::vector<std::string> first = {"c", "d"};
  const std::vector<std::string> second = {"e", "f", "g"};
  const std::string image = test::image_of({entries_of(first), entries_of(second)});
  const NodeSpan child(image.data(), 2);
  const auto verdict = [&](const std::string& low, const std::string& high, std::uint64_t entries) {
    std::vector<NodeEntry> children(3);
    children[1].key = low;
    children[2].key = high;
    for (NodeEntry& entry : children) entry.child = {100, 1, entries};
    std::string branch(kPageBytes, '\0');
    node::build_node(branch.data(), {PageId{5}, Generation{1}, 1, 1}, children);
    const NodeView parent(branch.data());
    node::ChildPromise promise;
    promise.note(parent, 1);
    const char* const wrong = node::validate_child(parent, 1, child);
    CHECK((wrong == nullptr) == (promise.broken_by(child) == nullptr));
    return std::string(wrong == nullptr ? "" : wrong);
  };
  CHECK(verdict("c", "h", 5).empty());
  CHECK(verdict("b", "ga", 5).empty());
  CHECK(verdict("c", "h", 2) == "has another entry count than its parent says");
  CHECK(verdict("ca", "h", 5) == "has keys below its bounds");
  CHECK(verdict("c", "g", 5) == "has keys above its bounds");
}

}  // namespace
}  // namespace cambium
