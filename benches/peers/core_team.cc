// SPDX-License-Identifier: MIT OR Apache-2.0
#include "peers/core_team.h"

#include <atomic>
#include <string>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

std::atomic<CoreTeam*> serving_team = nullptr;

}  // namespace

CoreTeam::CoreTeam(unsigned cores) : cluster_({.cores = cores}) {
  require(serving_team.exchange(this) == nullptr, "two teams of cores at once");
  for (unsigned index = 0; index < cores; ++index) members_.push_back(std::make_unique<Member>());
  thread_ = std::thread([this] {
    const Status ended = cluster_.run(serve);
    if (!ended) fail("cambium: " + std::string(ended.error().message()));
  });
  std::unique_lock lock(mutex_);
  all_reported_.wait(lock, [this] { return reports_ == size(); });
}

CoreTeam::~CoreTeam() {
  work_ = nullptr;
  tell_all();
  thread_.join();
  serving_team = nullptr;
}

void CoreTeam::everywhere(Work work, void* context) {
  work_ = work;
  context_ = context;
  tell_all();
  std::unique_lock lock(mutex_);
  all_reported_.wait(lock, [this] { return reports_ == size(); });
}

void CoreTeam::tell_all() {
  {
    const std::lock_guard lock(mutex_);
    reports_ = 0;
  }
  for (const auto& member : members_) member->core->post(*member);
}

void CoreTeam::report() {
  const std::lock_guard lock(mutex_);
  if (++reports_ == size()) all_reported_.notify_all();
}

Task<Status> CoreTeam::serve(Cluster&, unsigned index) {
  CoreTeam& team = *serving_team.load();
  Member& member = *team.members_[index];
  member.core = &Core::current();
  team.report();
  for (;;) {
    co_await member.told.wait();
    member.told.reset();
    if (team.work_ == nullptr) co_return Status();
    const Status done = co_await team.work_(index, team.context_);
    if (!done) fail("cambium: " + std::string(done.error().message()));
    team.report();
  }
}

}  // namespace cambium::bench
