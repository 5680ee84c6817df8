// SPDX-License-Identifier: MIT OR Apache-2.0
// SimDiskState: what a SimDisk is made of: files, the pending operations of its write cache, planned faults, the trace.
//
// Sits between SimDisk (the published face) and SimBackend (which decides when requests complete, and with what).
// A new fault family is one FaultAction and one branch in SimBackend::perform(), or one Fate and one branch here.
//
// Invariants
//   1. pending() is in the order of completion; the bytes of a write in it are whole sectors.
//   2. Unless a sync failed, current is durable plus the file's pending operations, in order.
//   3. Files are never removed: a SimFile's address and index hold for the life of the disk.
//
// Lifetime   outlives its backends (asserted).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/rt/io.h>
#include <cambium/rt/sim.h>

#include "base/random.h"
#include "rt/sim_image.h"

namespace cambium::rt {

struct SimFile {
  std::string name;
  std::uint32_t index = 0;
  SimImage durable;
  SimImage current;       // what reads see
  bool diverged = false;  // a failed sync forgot something: current shows what can no longer become durable
  bool locked = false;    // by one writer
  std::uint32_t readers = 0;
};

struct PendingOp {
  IoKind kind = IoKind::write;  // write, resize, punch
  std::uint32_t file = 0;
  std::uint64_t sequence = 0;  // of its completion
  std::uint64_t offset = 0;    // resize: the new size
  std::uint64_t bytes = 0;     // punch only
  bool grows = false;          // resize only
  std::vector<char> data;      // write only

  std::uint64_t units() const noexcept { return kind == IoKind::write ? data.size() / kSimSectorBytes : 1; }
};

class SimDiskState {
 public:
  // What a power cut does to one pending unit.
  enum class Fate : std::uint8_t { drop, keep, tear, garble };
  // Asked once per unit, in order of completion.
  class Cut {
   public:
    virtual Fate fate(const PendingOp& op, std::uint64_t unit_offset) noexcept = 0;

   protected:
    ~Cut() = default;
  };
  std::unique_ptr<SimDiskState> after(Cut& cut, Random& random) const;
  std::uint64_t pending_units() const noexcept { return pending_units_; }
  const std::vector<PendingOp>& pending() const noexcept { return pending_; }

  // Files and locks.
  SimFile* find(std::string_view name) const noexcept;
  SimFile& create(std::string_view name);
  const std::vector<std::unique_ptr<SimFile>>& files() const noexcept { return files_; }

  // Effects of completed requests. The Requires of each is the backend's to check.
  bool has_room_for(const SimFile& file, std::uint64_t offset, std::uint64_t bytes) const noexcept;
  void write(SimFile& file, std::uint64_t offset, const char* data, std::size_t bytes, bool durable);
  void resize(SimFile& file, std::uint64_t bytes);
  void punch(SimFile& file, std::uint64_t offset, std::uint64_t bytes);
  void sync(SimFile& file, std::uint64_t barrier);  // what completed before the barrier
  void fail_sync(SimFile& file, std::uint64_t barrier, Random& random);
  std::uint64_t barrier() const noexcept { return sequence_; }
  std::uint64_t allocated_blocks() const noexcept;

  // Faults: what strikes this request, which was just submitted; every match is counted.
  std::optional<SimFault> strike(const IoRequest& request) noexcept;

  void trace(std::int64_t now_ns, const SimFile* file, const IoRequest& request, std::uint64_t content) noexcept;
  void step(const IoRequest& request, bool changed) noexcept;

  struct PlannedFault {
    SimFault fault;
    std::uint64_t matched = 0;
  };
  std::vector<PlannedFault> faults;
  std::uint64_t faults_struck = 0;
  std::uint64_t capacity_bytes = ~std::uint64_t{0};
  std::uint64_t steps = 0;
  std::uint64_t trace_hash = 0;
  SimDisk::StepCallback step_callback = nullptr;
  void* step_context = nullptr;
  unsigned backends = 0;  // alive on this disk
  bool power_cut = false;

 private:
  void add(PendingOp op);
  void supersede(std::uint32_t file, std::uint64_t begin, std::uint64_t end);
  void write_through(SimFile& file, std::uint64_t begin, const std::vector<char>& data);
  template <class Condition>
  void make_durable(SimFile& file, Condition condition);

  std::vector<std::unique_ptr<SimFile>> files_;
  std::vector<PendingOp> pending_;
  std::uint64_t pending_units_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace cambium::rt
