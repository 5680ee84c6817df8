// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/frame_pool.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace cambium::rt {
namespace {

TEST_CASE("frame pool: a freed frame is given out again for every size of its class") {
  void* const frame = frame_allocate(100);
  std::memset(frame, 1, 100);
  frame_free(frame, 100);
  void* const again = frame_allocate(128);
  CHECK(again == frame);
  std::memset(again, 2, 128);
  void* const larger = frame_allocate(129);
  CHECK(larger != frame);
  frame_free(again, 128);
  frame_free(larger, 129);
}

TEST_CASE("frame pool: frames of every size are apart and wholly usable") {
  std::vector<std::pair<char*, std::size_t>> frames;
  for (std::size_t bytes = 1; bytes < 5000; bytes += 37) {
    auto* const frame = static_cast<char*>(frame_allocate(bytes));
    std::memset(frame, static_cast<int>(bytes % 251), bytes);
    frames.emplace_back(frame, bytes);
  }
  for (const auto& [frame, bytes] : frames) {
    CAPTURE(bytes);
    CHECK(std::string(frame, bytes) == std::string(bytes, static_cast<char>(bytes % 251)));
    frame_free(frame, bytes);
  }
}

TEST_CASE("frame pool: counts what this thread asked for") {
  const std::uint64_t before = frames_allocated();
  frame_free(frame_allocate(64), 64);
  frame_free(frame_allocate(64), 64);
  CHECK(frames_allocated() == before + 2);
  std::uint64_t elsewhere = 1;
  std::thread([&elsewhere] { elsewhere = frames_allocated(); }).join();
  CHECK(elsewhere == 0);
}

TEST_CASE("frame pool: frames may be freed on another thread, in any number") {
  std::vector<void*> frames;
  for (int i = 0; i < 10'000; ++i) frames.push_back(frame_allocate(200));
  CHECK(std::set<void*>(frames.begin(), frames.end()).size() == frames.size());
  std::thread([&frames] {
    for (void* frame : frames) frame_free(frame, 200);
  }).join();  // its lists go with it: the leak check of the sanitizer build sees to that
}

}  // namespace
}  // namespace cambium::rt
