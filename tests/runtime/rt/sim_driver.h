// SPDX-License-Identifier: MIT OR Apache-2.0
// SimDriver: drives a SimBackend request by request, so that a test decides what is in flight and when it completes.
//
// Lifetime   every request is finished before the driver goes; buffers given to start() live until then.
#pragma once

#include <catch2/catch.hpp>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <cambium/rt/sim.h>

#include "rt/sim_backend.h"

namespace cambium::test {

struct DrivenIo {
  rt::IoRequest io;  // first: its address is the DrivenIo's
  bool done = false;
  std::vector<DrivenIo*>* log = nullptr;
};

class SimDriver {
 public:
  static constexpr std::string_view kFile = "data";

  // Opens kFile, creating it where it is not there; buffered, so that any offset and length will do.
  explicit SimDriver(SimDisk& disk, const SimOptions& options = {.eager = true}) : backend_(disk.state(), options) {
    const rt::FileSpec spec{.path = std::string(kFile), .create = !disk.exists(kFile), .direct = false};
    file_ = backend_.open_file(spec).value().file;
  }

  rt::SimBackend& backend() noexcept { return backend_; }
  std::int32_t file() const noexcept { return file_; }
  const std::vector<DrivenIo*>& log() const noexcept { return log_; }  // in order of completion

  DrivenIo& start(rt::IoKind kind, std::uint64_t offset, char* data = nullptr, std::size_t bytes = 0) {
    return submit(
        {.kind = kind, .file = file_, .bytes = static_cast<std::uint32_t>(bytes), .offset = offset, .data = data});
  }
  DrivenIo& submit(const rt::IoRequest& request) {
    DrivenIo& io = requests_.emplace_back();
    io.io = request;
    io.log = &log_;
    io.io.complete = [](rt::IoRequest& completed) noexcept {
      auto& self = reinterpret_cast<DrivenIo&>(completed);
      self.done = true;
      self.log->push_back(&self);
    };
    backend_.submit(io.io);
    return io;
  }
  std::int32_t finish(DrivenIo& io) {
    while (!io.done) {
      if (backend_.reap() == 0) backend_.wait(-1);
    }
    return io.io.result;
  }
  void finish_all() {
    for (DrivenIo& io : requests_) finish(io);
  }

  std::int32_t write(std::uint64_t offset, std::string bytes, bool durable = false) {
    return finish(submit({.kind = rt::IoKind::write,
                          .durable = durable,
                          .file = file_,
                          .bytes = static_cast<std::uint32_t>(bytes.size()),
                          .offset = offset,
                          .data = bytes.data()}));
  }
  std::string read(std::uint64_t offset, std::size_t bytes) {
    std::string data(bytes, '?');
    const std::int32_t result = finish(start(rt::IoKind::read, offset, data.data(), bytes));
    REQUIRE(result >= 0);
    data.resize(static_cast<std::size_t>(result));
    return data;
  }
  std::int32_t sync() { return finish(start(rt::IoKind::sync, 0)); }
  std::int32_t resize(std::uint64_t bytes) { return finish(start(rt::IoKind::resize, bytes)); }
  std::int32_t punch(std::uint64_t offset, std::uint64_t bytes) {
    return finish(submit({.kind = rt::IoKind::punch, .file = file_, .offset = offset, .bytes_long = bytes}));
  }

 private:
  rt::SimBackend backend_;
  std::int32_t file_ = -1;
  std::deque<DrivenIo> requests_;
  std::vector<DrivenIo*> log_;
};

inline std::string sectors(std::size_t count, char fill) { return std::string(count * kSimSectorBytes, fill); }

}  // namespace cambium::test
