// SPDX-License-Identifier: MIT OR Apache-2.0
// A reference to overflow extents, as it stands in a leaf: refused with the leaf, or read_overflow() gives the bytes
// of the extents, or an error.
//
// Input      one byte: 1 = the reference's checksum is made right where its extents lie in the file; then the reference
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <cambium/rt/block_device.h>
#include <cambium/rt/sim.h>

#include "base/crc32c.h"
#include "base/random.h"
#include "cache/overflow_value.h"
#include "format/space_page.h"
#include "fuzz/target.h"
#include "node/node_builder.h"
#include "node/node_view.h"

namespace cambium {
namespace {

constexpr std::string_view kFile = "values";
constexpr std::uint64_t kFilePages = 96;
// Longer values are asked for elsewhere: the simulated disk scribbles over all of a buffer, which takes a second for
// 1 GiB, and no such value lies in this file.
constexpr std::uint32_t kValueBytesTried = 2u << 20;

// Every page another, so that a wrong one is told from the right one.
const std::string& file_content() {
  static const std::string content = [] {
    std::string bytes(kFilePages * kPageBytes, '\0');
    rt::Random random(5);
    random.bytes(bytes.data(), bytes.size());
    return bytes;
  }();
  return content;
}
const SimDisk& disk_at_rest() {
  static const SimDisk disk = [] {
    SimDisk made;
    made.create(kFile);
    made.truncate(kFile, file_content().size());
    made.poke(kFile, 0, file_content());
    return made;
  }();
  return disk;
}

// What the extents hold, if they lie where data can lie.
bool expected_bytes(const OverflowView& reference, std::string& bytes) {
  for (std::size_t i = 0; i < reference.extent_count(); ++i) {
    const PageRun extent = reference.extent(i);
    if (!format::holds_data(extent.first, extent.pages, kFilePages)) return false;
    bytes += file_content().substr(raw(extent.first) * kPageBytes, std::size_t{extent.pages} * kPageBytes);
  }
  bytes.resize(reference.value_bytes());
  return true;
}

Task<Result<std::string>> read_value(Core& core, Bytes reference) {
  FileOptions options;
  options.read_only = true;
  Result<std::unique_ptr<BlockDevice>> opened = co_await FileBlockDevice::open(core, std::string(kFile), options);
  if (!opened) co_return opened.error();
  const std::unique_ptr<BlockDevice> device = std::move(*opened);
  Result<OverflowBuffer> value = co_await read_overflow(*device, OverflowView(reference));
  device->close();
  if (!value) co_return value.error();
  co_return value->bytes().str();
}

// The reference inside a leaf; null when it is refused with it.
const char* validated(std::string& reference, std::unique_ptr<char[]>& page) {
  page.reset(new char[kPageBytes]);
  node::NodeEntry entry;
  entry.key = Bytes("key");
  entry.value = reference;
  entry.kind = format::EntryKind::overflow;
  node::build_node(page.get(), {PageId{50}, Generation{1}, 1, 0}, {&entry, 1});
  return node::validate_node(page.get()) == nullptr ? node::NodeView(page.get()).leaf_entry(0).value.data() : nullptr;
}

}  // namespace
}  // namespace cambium

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cambium;
  if (size < 2 || size > 1 + kInlineValueBytesMax) return 0;
  std::string reference(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::unique_ptr<char[]> page;
  if (validated(reference, page) == nullptr || OverflowView(reference).value_bytes() > kValueBytesTried) return 0;

  std::string expected;
  const bool in_file = expected_bytes(OverflowView(reference), expected);
  if (in_file && (data[0] & 1) != 0) {
    const std::uint32_t checksum = rt::crc32c(expected.data(), expected.size());
    std::memcpy(reference.data() + offsetof(format::OverflowReference, checksum), &checksum, sizeof checksum);
  }
  const bool right = in_file && OverflowView(reference).checksum() == rt::crc32c(expected.data(), expected.size());

  SimDisk disk = disk_at_rest().clone();
  const std::unique_ptr<Core> core = disk.make_core({.seed = data[0]});
  const Result<std::string> value = core->run(read_value(*core, reference));
  while (!core->idle()) core->poll();
  if (value) {
    CAMBIUM_FUZZ_REQUIRE(right && value.value() == expected, "a value that its checksum does not allow");
  } else {
    const Errc code = value.code();
    CAMBIUM_FUZZ_REQUIRE(!right, "a value that is whole cannot be read");
    CAMBIUM_FUZZ_REQUIRE(code == Errc::corruption || code == Errc::io || code == Errc::resource, "another error");
  }
  return 0;
}
