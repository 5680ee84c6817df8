// SPDX-License-Identifier: MIT OR Apache-2.0
// WriteBatch: several writes, of one table or of several, that become visible, and durable, together or not at all.
//
//   WriteBatch batch;  batch.put(events, "k1", "v1").del("hello");  co_await check(db.write(batch));
//
// Lifetime   owns copies of its keys and values; Partition::write() has consumed them when it returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cambium/ids.h>
#include <cambium/rt/bytes.h>
#include <cambium/table.h>

namespace cambium {

class WriteBatch {
 public:
  // Of the default table.
  WriteBatch& put(Bytes key, Bytes value) { return add(kDefaultTable, key, value, false); }
  WriteBatch& del(Bytes key) { return add(kDefaultTable, key, Bytes(), true); }
  // Of this one.
  WriteBatch& put(const Table& table, Bytes key, Bytes value) { return add(table.id(), key, value, false); }
  WriteBatch& del(const Table& table, Bytes key) { return add(table.id(), key, Bytes(), true); }
  std::size_t count() const noexcept { return writes_.size(); }
  bool empty() const noexcept { return writes_.empty(); }
  void clear() noexcept {
    writes_.clear();
    bytes_.clear();
  }

  struct Write {
    std::size_t offset;
    std::uint32_t key_bytes;
    std::uint32_t value_bytes;
    TableId table;
    bool remove;
  };
  const std::vector<Write>& writes() const noexcept { return writes_; }
  Bytes key_of(const Write& write) const noexcept { return {bytes_.data() + write.offset, write.key_bytes}; }
  Bytes value_of(const Write& write) const noexcept {
    return {bytes_.data() + write.offset + write.key_bytes, write.value_bytes};
  }

 private:
  WriteBatch& add(TableId table, Bytes key, Bytes value, bool remove) {
    writes_.push_back({bytes_.size(), static_cast<std::uint32_t>(key.size()), static_cast<std::uint32_t>(value.size()),
                       table, remove});
    bytes_.append(key.view()).append(value.view());
    return *this;
  }

  std::vector<Write> writes_;
  std::string bytes_;
};

}  // namespace cambium
