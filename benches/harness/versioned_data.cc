// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/versioned_data.h"

#include <cstring>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

constexpr unsigned kVersionBits = 24;
constexpr std::uint64_t kKeyCountMax = std::uint64_t{1} << (64 - kVersionBits);

std::uint64_t tag_of(std::string_view value) {
  std::uint64_t tag = 0;
  if (value.size() < sizeof tag) fail("a value is shorter than its tag");
  std::memcpy(&tag, value.data(), sizeof tag);
  return tag;
}

std::uint32_t version_in(std::uint64_t tag) {
  return static_cast<std::uint32_t>(tag & ((std::uint64_t{1} << kVersionBits) - 1));
}

}  // namespace

VersionedData::VersionedData(const Workload& workload, VersionTable& versions)
    : workload_(workload), versions_(&versions) {
  require(workload.value_bytes() >= 2 * kTagBytes, "values need 16 bytes or more here");
  require(workload.key_count() <= kKeyCountMax, "too many keys for the tag of a value");
}

std::string_view VersionedData::value(std::uint64_t index, const Key& key, std::uint32_t version) {
  require(version <= kVersionMax, "a key was written more often than its tag can count");
  buffer_.assign(workload_.value(key.view(), version));
  const std::uint64_t tag = index << kVersionBits | version;
  std::memcpy(buffer_.data(), &tag, sizeof tag);
  return buffer_;
}

void VersionedData::check(std::uint64_t index, const Key& key, std::string_view found, std::uint32_t floor) {
  const std::uint64_t tag = tag_of(found);
  const std::uint32_t version = version_in(tag);
  if (tag >> kVersionBits != index) fail("a get returned the value of another key");
  if (version < floor) fail("a get returned a value older than a put that had ended before it began");
  if (version > versions_->newest(index)) fail("a get returned a value that was never put");
  if (value(index, key, version) != found) fail("a get returned a wrong value");
}

std::uint64_t VersionedData::check_entry(std::string_view entry_key, std::string_view found, std::uint32_t& version) {
  const std::uint64_t tag = tag_of(found);
  const std::uint64_t index = tag >> kVersionBits;
  version = version_in(tag);
  if (index >= key_count()) fail("a scan returned an entry that was never put");
  const Key key = workload_.key(index);
  if (key.view() != entry_key) fail("a scan returned the value of another key");
  if (value(index, key, version) != found) fail("a scan returned a wrong value");
  return index;
}

std::uint64_t VersionedData::index_of(std::string_view value) { return tag_of(value) >> kVersionBits; }

Digest VersionedData::expected_digest() {
  Digest digest;
  for (std::uint64_t index = 0; index < key_count(); ++index) {
    const Key entry_key = workload_.key(index);
    const std::uint64_t tag = index << kVersionBits | versions_->newest(index);
    digest.add(entry_key.view(), {reinterpret_cast<const char*>(&tag), sizeof tag});
  }
  return digest;
}

}  // namespace cambium::bench
