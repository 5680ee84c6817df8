// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/sim_disk.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "rt/sim_cut.h"

namespace cambium::rt {

namespace {

constexpr std::uint64_t sector_floor(std::uint64_t offset) noexcept { return offset - offset % kSimSectorBytes; }
constexpr std::uint64_t sector_ceil(std::uint64_t offset) noexcept {
  return sector_floor(offset + kSimSectorBytes - 1);
}

void apply(const PendingOp& op, SimImage& image) {
  if (op.kind == IoKind::write) image.write(op.offset, op.data.data(), op.data.size());
  if (op.kind == IoKind::resize) image.resize(op.offset);
  if (op.kind == IoKind::punch) image.punch(op.offset, op.bytes);
}

// A sector of which one end arrived; the other end is old or garbage.
void apply_torn_sector(SimImage& image, std::uint64_t offset, const char* data, Random& random) {
  std::array<char, kSimSectorBytes> sector;
  if (random.below(2) == 0) {
    image.read(offset, sector.data(), sector.size());
  } else {
    random.bytes(sector.data(), sector.size());
  }
  const std::size_t cut = static_cast<std::size_t>(random.between(1, kSimSectorBytes - 1));
  if (random.below(2) == 0) {
    std::copy_n(data, cut, sector.begin());
  } else {
    std::copy(data + cut, data + kSimSectorBytes, sector.begin() + static_cast<std::ptrdiff_t>(cut));
  }
  image.write(offset, sector.data(), sector.size());
}

void apply_garbage_sector(SimImage& image, std::uint64_t offset, Random& random) {
  std::array<char, kSimSectorBytes> sector;
  random.bytes(sector.data(), sector.size());
  image.write(offset, sector.data(), sector.size());
}

void apply_cut_write(const PendingOp& op, SimImage& image, SimDiskState::Cut& cut, Random& random) {
  using Fate = SimDiskState::Fate;
  const std::size_t bytes = op.data.size();
  std::size_t kept = 0;  // start of the run of kept sectors: whole runs are copied at once
  for (std::size_t at = 0; at < bytes; at += kSimSectorBytes) {
    const Fate fate = cut.fate(op, op.offset + at);
    if (fate == Fate::keep) continue;
    image.write(op.offset + kept, op.data.data() + kept, at - kept);
    kept = at + kSimSectorBytes;
    if (fate == Fate::tear) apply_torn_sector(image, op.offset + at, op.data.data() + at, random);
    if (fate == Fate::garble) apply_garbage_sector(image, op.offset + at, random);
  }
  if (kept < bytes) image.write(op.offset + kept, op.data.data() + kept, bytes - kept);
}

// Size changes and punches are journalled: they happen or not. Only growth may stop at some block in between, since a
// file system may grow a file extent by extent.
void apply_cut_metadata(const PendingOp& op, SimImage& image, SimDiskState::Fate fate, Random& random) {
  if (fate == SimDiskState::Fate::keep) return apply(op, image);
  if (fate == SimDiskState::Fate::drop || op.kind != IoKind::resize || op.offset <= image.size_bytes()) return;
  const std::uint64_t blocks = (op.offset - image.size_bytes()) / kSimBlockBytes;
  image.resize(image.size_bytes() + random.below(blocks + 1) * kSimBlockBytes);
}

}  // namespace

std::unique_ptr<SimDiskState> SimDiskState::after(Cut& cut, Random& random) const {
  auto result = std::make_unique<SimDiskState>();
  result->files_.reserve(files_.size());
  for (const auto& file : files_) {
    SimFile& copy = result->create(file->name);
    copy.durable = file->durable;
  }
  for (const PendingOp& op : pending_) {
    SimImage& image = result->files_[op.file]->durable;
    if (op.kind == IoKind::write) {
      apply_cut_write(op, image, cut, random);
    } else {
      apply_cut_metadata(op, image, cut.fate(op, op.offset), random);
    }
  }
  for (const auto& file : result->files_) file->current = file->durable;
  return result;
}

SimFile* SimDiskState::find(std::string_view name) const noexcept {
  for (const auto& file : files_) {
    if (file->name == name) return file.get();
  }
  return nullptr;
}

SimFile& SimDiskState::create(std::string_view name) {
  auto file = std::make_unique<SimFile>();
  file->name = name;
  file->index = static_cast<std::uint32_t>(files_.size());
  files_.push_back(std::move(file));
  return *files_.back();
}

std::uint64_t SimDiskState::allocated_blocks() const noexcept {
  std::uint64_t blocks = 0;
  for (const auto& file : files_) blocks += file->current.allocated_blocks();
  return blocks;
}

bool SimDiskState::has_room_for(const SimFile& file, std::uint64_t offset, std::uint64_t bytes) const noexcept {
  if (capacity_bytes == ~std::uint64_t{0}) return true;
  std::uint64_t needed = file.current.holes_in(offset, bytes);
  const std::uint64_t size = file.current.size_bytes();
  if (offset + bytes > size) {
    const auto ceil = [](std::uint64_t n) { return (n + kSimBlockBytes - 1) / kSimBlockBytes; };
    needed += ceil(offset + bytes) - ceil(size);
  }
  return needed == 0 || (allocated_blocks() + needed) * kSimBlockBytes <= capacity_bytes;
}

void SimDiskState::add(PendingOp op) {
  op.sequence = sequence_++;
  pending_units_ += op.units();
  pending_.push_back(std::move(op));
}

void SimDiskState::resize(SimFile& file, std::uint64_t bytes) {
  const std::uint64_t before = file.current.size_bytes();
  if (bytes == before) return;
  file.current.resize(bytes);
  add({.kind = IoKind::resize, .file = file.index, .offset = bytes, .grows = bytes > before, .data = {}});
}

void SimDiskState::punch(SimFile& file, std::uint64_t offset, std::uint64_t bytes) {
  file.current.punch(offset, bytes);
  add({.kind = IoKind::punch, .file = file.index, .offset = offset, .bytes = bytes, .data = {}});
}

void SimDiskState::write(SimFile& file, std::uint64_t offset, const char* data, std::size_t bytes, bool durable) {
  if (bytes == 0) return;
  if (offset + bytes > file.current.size_bytes()) resize(file, offset + bytes);
  file.current.write(offset, data, bytes);
  // The device takes whole sectors: what surrounds a smaller write in its sector goes with it.
  const std::uint64_t begin = sector_floor(offset);
  const std::uint64_t end = sector_ceil(offset + bytes);
  std::vector<char> sectors;
  if (begin == offset && end == offset + bytes) {
    sectors.assign(data, data + bytes);
  } else {
    sectors.resize(static_cast<std::size_t>(end - begin));
    file.current.read(begin, sectors.data(), sectors.size());
  }
  if (durable) {
    write_through(file, begin, sectors);
  } else {
    add({.kind = IoKind::write, .file = file.index, .offset = begin, .data = std::move(sectors)});
  }
}

// Durable writes take the metadata with them that is needed to find the data again: growth alone, or, where the file
// shrank or was punched meanwhile, everything before (a journal commits in order).
void SimDiskState::write_through(SimFile& file, std::uint64_t begin, const std::vector<char>& data) {
  const bool only_grew = std::none_of(pending_.begin(), pending_.end(), [&](const PendingOp& op) {
    return op.file == file.index && op.kind != IoKind::write && !op.grows;
  });
  if (only_grew) {
    make_durable(file, [](const PendingOp& op) { return op.kind == IoKind::resize; });
  } else {
    make_durable(file, [](const PendingOp&) { return true; });
  }
  supersede(file.index, begin, begin + data.size());
  file.durable.write(begin, data.data(), data.size());
}

// Takes these bytes out of the pending writes: an older version must not come back over a durable newer one.
void SimDiskState::supersede(std::uint32_t file, std::uint64_t begin, std::uint64_t end) {
  std::vector<PendingOp> kept;
  kept.reserve(pending_.size() + 1);
  pending_units_ = 0;
  const auto keep = [&](PendingOp op) {
    pending_units_ += op.units();
    kept.push_back(std::move(op));
  };
  for (PendingOp& op : pending_) {
    const std::uint64_t op_end = op.offset + op.data.size();
    if (op.file != file || op.kind != IoKind::write || op.offset >= end || op_end <= begin) {
      keep(std::move(op));
      continue;
    }
    const auto piece = [&](std::uint64_t from, std::uint64_t to) {
      if (from >= to) return;
      const char* data = op.data.data();
      keep({.kind = IoKind::write,
            .file = file,
            .sequence = op.sequence,
            .offset = from,
            .data = std::vector<char>(data + (from - op.offset), data + (to - op.offset))});
    };
    piece(op.offset, begin);
    piece(end, op_end);
  }
  pending_ = std::move(kept);
}

template <class Condition>
void SimDiskState::make_durable(SimFile& file, Condition condition) {
  bool rest = false;
  const auto covered = [&](const PendingOp& op) {
    if (op.file != file.index) return false;
    if (condition(op)) return true;
    rest = true;
    return false;
  };
  for (const PendingOp& op : pending_) (void)covered(op);
  if (!rest && !file.diverged) {
    file.durable = file.current;  // invariant 2: shares the blocks instead of copying the bytes
  } else {
    for (const PendingOp& op : pending_) {
      if (covered(op)) apply(op, file.durable);
    }
  }
  std::erase_if(pending_, [&](const PendingOp& op) {
    if (!covered(op)) return false;
    pending_units_ -= op.units();
    return true;
  });
}

void SimDiskState::sync(SimFile& file, std::uint64_t barrier) {
  make_durable(file, [barrier](const PendingOp& op) { return op.sequence < barrier; });
}

// The kernel marks the pages of a failed sync clean: they can be read, but no later sync writes them.
void SimDiskState::fail_sync(SimFile& file, std::uint64_t barrier, Random& random) {
  std::erase_if(pending_, [&](const PendingOp& op) {
    if (op.file != file.index || op.kind != IoKind::write || op.sequence >= barrier) return false;
    if (random.below(4) == 0) return false;
    pending_units_ -= op.units();
    file.diverged = true;
    return true;
  });
}

std::optional<SimFault> SimDiskState::strike(const IoRequest& request) noexcept {
  std::optional<SimFault> result;
  for (PlannedFault& planned : faults) {
    const SimFault& fault = planned.fault;
    if (fault.kind && *fault.kind != request.kind) continue;
    if (fault.region_offset != 0 || fault.region_bytes != ~std::uint64_t{0}) {
      if (request.kind == IoKind::sync || request.kind == IoKind::resize) continue;
      const std::uint64_t bytes = request.kind == IoKind::punch ? request.bytes_long : request.bytes;
      if (request.offset + bytes <= fault.region_offset) continue;
      if (request.offset >= fault.region_offset && request.offset - fault.region_offset >= fault.region_bytes) continue;
    }
    const std::uint64_t number = planned.matched++;
    const bool strikes = fault.sticky ? number >= fault.operation : number == fault.operation;
    if (strikes && !result) result = fault;
  }
  if (result) ++faults_struck;
  return result;
}

void SimDiskState::trace(std::int64_t now_ns, const SimFile* file, const IoRequest& request,
                         std::uint64_t content) noexcept {
  const std::uint64_t record[] = {static_cast<std::uint64_t>(now_ns),
                                  file != nullptr ? file->index : ~std::uint64_t{0},
                                  static_cast<std::uint64_t>(request.kind),
                                  request.offset,
                                  request.bytes,
                                  request.bytes_long,
                                  static_cast<std::uint64_t>(request.result),
                                  content};
  trace_hash = hash64(record, sizeof record, trace_hash);
}

void SimDiskState::step(const IoRequest& request, bool changed) noexcept {
  const std::uint64_t index = steps++;
  if (step_callback == nullptr) return;
  step_callback(step_context, {.index = index,
                               .kind = request.kind,
                               .offset = request.offset,
                               .bytes = request.bytes,
                               .result = request.result,
                               .changed = changed});
}

}  // namespace cambium::rt
