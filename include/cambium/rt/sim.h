// SPDX-License-Identifier: MIT OR Apache-2.0
// SimDisk: a simulated disk with a volatile write cache, and cores that run on it in virtual time.
//
//   SimDisk disk;
//   std::unique_ptr<Core> core = disk.make_core({.seed = 7});
//   core->run(workload(*core));                          // opens files by name, as on a real backend
//   SimDisk after = disk.crash_image(PowerCutPolicy::random_torn, 1);
//   after.make_core({.seed = 8})->run(recovery(...));
//
// A file has durable bytes and an ordered list of pending operations: what has completed, but is not yet on stable
// storage. A power cut keeps, drops, tears or garbles each pending sector of 512 bytes by itself. Size changes are
// pending too, and each is one unit of the cut; so is a punch. Names are durable once a file has been created.
//
// Invariants
//   1. The bytes of a write are taken when it completes, not when it is submitted.
//   2. A sync makes durable exactly what had completed, on its file, before the sync was submitted.
//   3. What is durable never changes at a cut: only pending sectors, sizes and punches differ between crash images.
//   4. Equal seeds, options and workloads give equal runs: trace_hash() says whether they did.
//
// Units      bytes; ticks of 1 us of virtual time.
// Errors     requests fail as on a real backend; calls here that name no file of the disk are asserted.
// Lifetime   a disk outlives its cores (asserted). Clones and crash images share unchanged blocks with their origin,
//            yet nothing that happens to one is seen by another; each may be used on a thread of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/rt/core.h>
#include <cambium/rt/export.h>
#include <cambium/rt/io.h>

namespace cambium {

namespace rt {
class SimDiskState;
}

inline constexpr std::uint32_t kSimSectorBytes = 512;  // the unit of a power cut
inline constexpr std::uint32_t kSimBlockBytes = 4096;  // the unit of allocation
inline constexpr std::int64_t kSimTickNs = 1000;

// How one simulated core behaves. The defaults draw latencies and order from the seed, and inject no fault.
struct SimOptions {
  std::uint64_t seed = 1;
  bool eager = false;         // zero latency, completion in the order of submission
  unsigned queue_depth = 64;  // requests at the device at once; others wait in order
  std::array<std::uint32_t, 4> latency_ticks = {0, 1, 10, 1000};  // each request draws one of these
  unsigned alignment = kSimSectorBytes;  // of memory, offset and length for direct I/O; else -EINVAL
  bool scribble_reads = true;            // read buffers change at random while in flight, and after a failure
  bool poison_reads = true;              // under AddressSanitizer, touching a read buffer in flight is reported
  bool poison_writes = false;            // so is reading a write buffer, which a cache may legally do
  bool refuse_registration = false;      // register_buffer() answers -1
  double short_chance = 0;               // a read or write moves only a part
  double retry_chance = 0;               // a request fails with EINTR or EAGAIN, and without effect

  // Queue depth {1, 2, 4, 64}, fault chances and a refused registration, all drawn from the seed.
  CAMBIUM_EXPORT static SimOptions drawn(std::uint64_t seed) noexcept;
};

// What happens to the pending units (sectors, size changes, punches) of a disk at a power cut.
enum class PowerCutPolicy : std::uint8_t {
  none,         // all dropped
  all,          // all kept
  random,       // each kept or dropped
  all_but_one,  // one dropped
  only_one,     // one kept
  prefix,       // kept up to some point, in order of completion
  suffix,       // kept from some point on
  random_torn,  // each kept, dropped, torn inside (parts old, new or garbage), or garbage
};
inline constexpr std::array<PowerCutPolicy, 8> kPowerCutPolicies = {
    PowerCutPolicy::none,     PowerCutPolicy::all,    PowerCutPolicy::random, PowerCutPolicy::all_but_one,
    PowerCutPolicy::only_one, PowerCutPolicy::prefix, PowerCutPolicy::suffix, PowerCutPolicy::random_torn};
CAMBIUM_EXPORT std::string_view to_string(PowerCutPolicy policy) noexcept;

enum class FaultAction : std::uint8_t {
  fail,       // ends with -error. A failed write may have landed in part; a failed sync may forget what it covered:
              // it stays readable, yet no later sync makes it durable
  shorten,    // moves `argument` bytes at most, 0 included
  drop,       // reports success and does nothing: a lost write, a sync that lies
  misdirect,  // acts at offset `argument` instead of its own
  delay,      // takes `argument` ticks more
};

// One planned fault. It counts the requests that match it, in order of submission, from the moment it is planned.
struct SimFault {
  FaultAction action = FaultAction::fail;
  int error = 5;                                   // fail: a positive errno, 5 being EIO
  std::uint64_t argument = 0;                      // bytes, offset or ticks: see FaultAction
  std::optional<rt::IoKind> kind = {};             // only requests of this kind
  std::uint64_t operation = 0;                     // how many matching requests pass before it strikes
  bool sticky = false;                             // strikes every one from then on
  std::uint64_t region_offset = 0;                 // only reads, writes and punches that touch this region; syncs and
  std::uint64_t region_bytes = ~std::uint64_t{0};  // resizes only when the region is the whole file
};

// A completed I/O, as the step hook sees it: in effect on the disk, not yet seen by the one who asked for it.
struct SimStep {
  std::uint64_t index = 0;  // steps() before this one
  rt::IoKind kind = rt::IoKind::read;
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::int32_t result = 0;
  bool changed = false;  // crash images may differ from those at the step before
};

class CAMBIUM_EXPORT SimDisk {
 public:
  SimDisk();
  SimDisk(SimDisk&& other) noexcept;
  SimDisk& operator=(SimDisk&& other) noexcept;
  ~SimDisk();

  // A core whose files are those of this disk. Several may live at once: locks keep their writers apart.
  std::unique_ptr<Core> make_core(const SimOptions& options = {});

  // Power cuts. The new disk is at rest: nothing pending, no locks, faults, hook or capacity limit.
  SimDisk crash_image(PowerCutPolicy policy, std::uint64_t seed) const;
  // Keeps exactly the units whose bit is set in `kept`, in order of completion; those set in `torn` are torn instead.
  // Requires: pending_sectors() <= 64.
  SimDisk crash_image_mask(std::uint64_t kept, std::uint64_t torn = 0, std::uint64_t seed = 0) const;
  // Keeps the sectors inside the region of any file, or those outside it, and all size changes.
  SimDisk crash_image_region(std::uint64_t offset, std::uint64_t bytes, bool keep_inside) const;
  SimDisk clone() const { return crash_image(PowerCutPolicy::all, 0); }
  std::uint64_t pending_sectors() const noexcept;  // units that a cut decides on
  // From now on every request fails with -EIO and has no effect.
  void cut_power() noexcept;

  // Steps. The callback runs after each I/O has taken effect and before its request completes. It may clone, make
  // crash images, run cores over those, plan faults and cut the power; it must not throw nor use this disk's cores.
  using StepCallback = void (*)(void* context, const SimStep& step);
  void on_step(StepCallback callback, void* context) noexcept;  // null removes it
  std::uint64_t steps() const noexcept;
  // Over time, kind, file, offset, bytes, result and written content of every completed I/O, in order.
  std::uint64_t trace_hash() const noexcept;

  // Faults. The first planned fault that strikes a request decides it.
  void plan(const SimFault& fault);
  void clear_faults() noexcept;
  std::uint64_t faults_struck() const noexcept;
  void set_capacity_bytes(std::uint64_t bytes) noexcept;  // beyond it: ENOSPC; ~0 = no limit
  std::uint64_t allocated_bytes() const noexcept;         // in blocks; punched ones do not count

  // Files, and damage at rest: what these change is durable at once. peek() sees what a read would.
  void create(std::string_view file);
  bool exists(std::string_view file) const noexcept;
  std::vector<std::string> files() const;  // in the order of creation
  std::uint64_t file_size(std::string_view file) const noexcept;
  std::string peek(std::string_view file, std::uint64_t offset, std::size_t bytes) const;
  void poke(std::string_view file, std::uint64_t offset, std::string_view bytes);  // inside the file
  void flip_bit(std::string_view file, std::uint64_t offset, unsigned bit);
  void zero(std::string_view file, std::uint64_t offset, std::uint64_t bytes);
  void copy_page(std::string_view file, std::uint64_t from_page, std::uint64_t to_page);  // of 4 KiB each
  void truncate(std::string_view file, std::uint64_t bytes);                              // or grow, with zeros

  rt::SimDiskState& state() noexcept { return *state_; }  // for the backend

 private:
  explicit SimDisk(std::unique_ptr<rt::SimDiskState> state) noexcept;
  std::unique_ptr<rt::SimDiskState> state_;
};

}  // namespace cambium
