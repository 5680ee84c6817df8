// SPDX-License-Identifier: MIT OR Apache-2.0
// salvage(): opens both files, runs the Salvager between them, closes both.
#include <cambium/salvage.h>

#include <memory>
#include <string>

#include <cambium/rt/check.h>

#include "partition/partition_state.h"
#include "partition/salvager.h"

namespace cambium {

namespace {

Task<Result<SalvageReport>> salvage_from(Core& core, BlockDevice& device, Bytes to, std::uint64_t memory_bytes) {
  Salvager salvager(device);
  co_await check(salvager.begin());
  Options options;
  options.path = to;
  options.mode = OpenMode::create;
  options.memory_bytes = memory_bytes;
  std::unique_ptr<PartitionState> rescued = co_await check(PartitionState::open(core, options));
  Status copied = co_await salvager.run(*rescued);
  const Status closed = co_await rescued->close();  // flushes: what is reported is durable
  if (copied) copied = closed;
  if (!copied) co_return copied.error();
  co_return std::move(salvager.report());
}

Op<SalvageReport> salvage_paths(Core& core, std::string from, std::string to, std::uint64_t memory_bytes) {
  FileOptions file;
  file.read_only = true;
  std::unique_ptr<BlockDevice> device = co_await check(FileBlockDevice::open(core, from, file));
  Result<SalvageReport> report = co_await salvage_from(core, *device, to, memory_bytes);
  device->close();
  co_return report;
}

}  // namespace

Op<SalvageReport> salvage(Core& core, Bytes from, Bytes to, std::uint64_t memory_bytes) {
  const Core::Scope scope(core);
  return salvage_paths(core, from.str(), to.str(), memory_bytes);
}

}  // namespace cambium
