// SPDX-License-Identifier: MIT OR Apache-2.0
// The published face of the simulated disk.
#include <cambium/rt/sim.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/random.h"
#include "rt/sim_backend.h"
#include "rt/sim_cut.h"
#include "rt/sim_disk.h"

namespace cambium {

namespace {

rt::SimFile& named(const rt::SimDiskState& state, std::string_view name) {
  rt::SimFile* file = state.find(name);
  CAMBIUM_ASSERT_MSG(file != nullptr, "the simulated disk has no file of this name");
  return *file;
}

}  // namespace

SimOptions SimOptions::drawn(std::uint64_t seed) noexcept {
  rt::Random random(seed);
  SimOptions options;
  options.seed = random.next();
  constexpr unsigned kDepths[] = {1, 2, 4, 64};
  options.queue_depth = kDepths[random.below(4)];
  options.refuse_registration = random.below(4) == 0;
  constexpr double kChances[] = {0, 0, 0.01, 0.1};
  options.short_chance = kChances[random.below(4)];
  options.retry_chance = kChances[random.below(4)];
  return options;
}

SimDisk::SimDisk() : state_(std::make_unique<rt::SimDiskState>()) {}
SimDisk::SimDisk(std::unique_ptr<rt::SimDiskState> state) noexcept : state_(std::move(state)) {}
SimDisk::SimDisk(SimDisk&& other) noexcept = default;
SimDisk& SimDisk::operator=(SimDisk&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
SimDisk::~SimDisk() {
  CAMBIUM_ASSERT_MSG(state_ == nullptr || state_->backends == 0, "a simulated disk outlives its cores");
}

std::unique_ptr<Core> SimDisk::make_core(const SimOptions& options) {
  return Core::over(std::make_unique<rt::SimBackend>(*state_, options));
}

SimDisk SimDisk::crash_image(PowerCutPolicy policy, std::uint64_t seed) const {
  rt::Random random(seed);
  rt::PolicyCut cut(policy, state_->pending_units(), random);
  return SimDisk(state_->after(cut, random));
}

SimDisk SimDisk::crash_image_mask(std::uint64_t kept, std::uint64_t torn, std::uint64_t seed) const {
  CAMBIUM_ASSERT_MSG(state_->pending_units() <= 64, "a mask decides on at most 64 pending sectors");
  rt::Random random(seed);
  rt::MaskCut cut(kept, torn);
  return SimDisk(state_->after(cut, random));
}

SimDisk SimDisk::crash_image_region(std::uint64_t offset, std::uint64_t bytes, bool keep_inside) const {
  rt::Random random(0);
  rt::RegionCut cut(offset, bytes, keep_inside);
  return SimDisk(state_->after(cut, random));
}

std::uint64_t SimDisk::pending_sectors() const noexcept { return state_->pending_units(); }
void SimDisk::cut_power() noexcept { state_->power_cut = true; }

void SimDisk::on_step(StepCallback callback, void* context) noexcept {
  state_->step_callback = callback;
  state_->step_context = context;
}
std::uint64_t SimDisk::steps() const noexcept { return state_->steps; }
std::uint64_t SimDisk::trace_hash() const noexcept { return state_->trace_hash; }

void SimDisk::plan(const SimFault& fault) { state_->faults.push_back({fault, 0}); }
void SimDisk::clear_faults() noexcept { state_->faults.clear(); }
std::uint64_t SimDisk::faults_struck() const noexcept { return state_->faults_struck; }
void SimDisk::set_capacity_bytes(std::uint64_t bytes) noexcept { state_->capacity_bytes = bytes; }
std::uint64_t SimDisk::allocated_bytes() const noexcept { return state_->allocated_blocks() * kSimBlockBytes; }

void SimDisk::create(std::string_view file) {
  CAMBIUM_ASSERT_MSG(state_->find(file) == nullptr, "the file exists already");
  state_->create(file);
}
bool SimDisk::exists(std::string_view file) const noexcept { return state_->find(file) != nullptr; }

std::vector<std::string> SimDisk::files() const {
  std::vector<std::string> names;
  for (const auto& file : state_->files()) names.push_back(file->name);
  return names;
}

std::uint64_t SimDisk::file_size(std::string_view file) const noexcept {
  return named(*state_, file).current.size_bytes();
}

std::string SimDisk::peek(std::string_view file, std::uint64_t offset, std::size_t bytes) const {
  std::string result(bytes, '\0');
  named(*state_, file).current.read(offset, result.data(), bytes);
  return result;
}

void SimDisk::poke(std::string_view file, std::uint64_t offset, std::string_view bytes) {
  rt::SimFile& target = named(*state_, file);
  CAMBIUM_ASSERT(offset + bytes.size() <= target.current.size_bytes());
  target.durable.write(offset, bytes.data(), bytes.size());
  target.current.write(offset, bytes.data(), bytes.size());
}

void SimDisk::flip_bit(std::string_view file, std::uint64_t offset, unsigned bit) {
  CAMBIUM_ASSERT(bit < 8);
  std::string byte = peek(file, offset, 1);
  byte[0] = static_cast<char>(static_cast<unsigned char>(byte[0]) ^ (1u << bit));
  poke(file, offset, byte);
}

void SimDisk::zero(std::string_view file, std::uint64_t offset, std::uint64_t bytes) {
  poke(file, offset, std::string(static_cast<std::size_t>(bytes), '\0'));
}

void SimDisk::copy_page(std::string_view file, std::uint64_t from_page, std::uint64_t to_page) {
  poke(file, to_page * kSimBlockBytes, peek(file, from_page * kSimBlockBytes, kSimBlockBytes));
}

void SimDisk::truncate(std::string_view file, std::uint64_t bytes) {
  rt::SimFile& target = named(*state_, file);
  target.durable.resize(bytes);
  target.current.resize(bytes);
}

}  // namespace cambium
