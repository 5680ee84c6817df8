// SPDX-License-Identifier: MIT OR Apache-2.0
// A page cache over a simulated file that holds small nodes at known places.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/page_cache.h"
#include "lib/space/device_fixture.h"
#include "node/node_builder.h"
#include "node/node_view.h"

namespace cambium::test {

inline Task<Status> fetch_and_drop(PageCache& cache, format::ChildPointer pointer, unsigned level) {
  Result<PageRef> page = co_await cache.fetch(pointer, level);
  if (!page) co_return page.error();
  co_return Status();
}
// Keeps the page in `slot`, or the error in `status`.
inline Task<void> fetch_into(PageCache& cache, format::ChildPointer pointer, unsigned level, PageRef& slot,
                             Status& status, unsigned& done) {
  Result<PageRef> page = co_await cache.fetch(pointer, level);
  if (page) {
    slot = std::move(*page);
  } else {
    status = page.error();
  }
  ++done;
}

class CacheFixture : public DeviceFixture {
 public:
  explicit CacheFixture(std::size_t frames, const SimOptions& options = {.seed = 1, .eager = true},
                        std::uint64_t pages = 600)
      : DeviceFixture(pages, options),
        cache(device(), arena(), memory(frames + frames / 64 + 1), frames, kFileId),
        pointers(pages) {
    for (std::uint32_t page = 4; page < pages; ++page) write_leaf(page, "value of page " + std::to_string(page));
  }
  ~CacheFixture() { settle(); }

  // Puts a node at rest, past the cache, and remembers the pointer to it.
  void write_node(std::uint32_t page, unsigned level, std::span<const node::NodeEntry> entries,
                  std::uint64_t file_id = kFileId) {
    std::string bytes(kPageBytes, '\0');
    node::build_node(bytes.data(), {PageId{page}, Generation{1}, file_id, level}, entries);
    pointers[page] = {page, format::seal_page(bytes.data()), entries.size()};
    disk().poke(kFile, std::uint64_t{page} * kPageBytes, bytes);
  }
  // Keys ascend with the pages, so that neighbours can hang below one branch.
  static std::string key_of(std::uint32_t page) { return "k" + std::to_string(1000 + page); }
  void write_leaf(std::uint32_t page, const std::string& value) {
    const std::string key = key_of(page);
    node::NodeEntry entry;
    entry.key = key;
    entry.value = value;
    write_node(page, 0, {&entry, 1});
  }
  void write_branch(std::uint32_t page, std::uint32_t first_child, std::size_t children) {
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < children; ++i) {
      keys.push_back(key_of(first_child + static_cast<std::uint32_t>(i)));
    }
    std::vector<node::NodeEntry> entries(children);
    for (std::size_t i = 0; i < children; ++i) {
      entries[i].key = keys[i];
      entries[i].child = pointers[first_child + i];
    }
    write_node(page, 1, entries);
  }
  Status touch(std::uint32_t page, unsigned level = 0) { return run(fetch_and_drop(cache, pointers[page], level)); }
  std::string value_in(FrameIndex frame) const { return node::NodeView(cache.bytes(frame)).leaf_entry(0).value.str(); }

  PageCache cache;
  std::vector<format::ChildPointer> pointers;
};

}  // namespace cambium::test
