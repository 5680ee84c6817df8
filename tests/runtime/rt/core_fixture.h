// SPDX-License-Identifier: MIT OR Apache-2.0
// What the runtime's tests share: cores by backend, and a directory that goes away.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include <cambium/rt/core.h>

namespace cambium::test {

// Null, with a warning in the report, where the machine refuses io_uring.
inline std::unique_ptr<Core> make_core(Backend backend, CoreOptions options = {}) {
  options.backend = backend;
  Result<std::unique_ptr<Core>> core = Core::create(options);
  if (core) return std::move(*core);
  if (backend == Backend::uring) {
    WARN("skipped with io_uring: " << std::string(core.error().message()));
    return nullptr;
  }
  FAIL("no core: " << std::string(core.error().message()));
  return nullptr;
}

class TempDirectory {
 public:
  TempDirectory() : TempDirectory(std::filesystem::temp_directory_path()) {}
  explicit TempDirectory(const std::filesystem::path& parent) {
    std::string name = (parent / "cambium-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace cambium::test
