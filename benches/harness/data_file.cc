// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/data_file.h"

#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "harness/fail.h"

namespace cambium::bench {

namespace {

// What is still to be removed should the process end through fail(), which runs no destructors of main().
std::string& folder_to_remove() {
  static std::string path;
  return path;
}

void remove_folder() {
  std::error_code ignored;  // a leftover folder harms nobody, and there is no one left to tell
  if (!folder_to_remove().empty()) std::filesystem::remove_all(folder_to_remove(), ignored);
  folder_to_remove().clear();
}

}  // namespace

ScratchDir::ScratchDir(const std::string& parent, bool keep)
    : path_((std::filesystem::absolute(parent) / "cambium-bench-XXXXXX").string()), keep_(keep) {
  std::filesystem::create_directories(parent);
  if (mkdtemp(path_.data()) == nullptr) fail("cannot make a folder in " + parent);
  if (keep) return;
  folder_to_remove() = path_;
  std::atexit(remove_folder);
}

ScratchDir::~ScratchDir() {
  remove_folder();
  if (keep_) std::printf("kept: %s\n", path_.c_str());
}

std::string ScratchDir::fresh(const std::string& name) const {
  const std::filesystem::path dir = std::filesystem::path(path_) / name;
  std::filesystem::remove_all(dir);
  std::filesystem::create_directory(dir);
  return dir.string();
}

std::uint64_t file_bytes(const std::string& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  if (error) fail("cannot read the size of " + path + ": " + error.message());
  return bytes;
}

std::uint64_t allocated_bytes(const std::string& dir) {
  std::uint64_t bytes = 0;
  std::error_code error;  // files come and go while they are counted
  for (auto entry = std::filesystem::recursive_directory_iterator(dir, error);
       !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
    struct stat status{};
    if (::stat(entry->path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return bytes;
}

std::string largest_file(const std::vector<std::string>& paths) {
  require(!paths.empty(), "the engine names no data file");
  return *std::max_element(paths.begin(), paths.end(),
                           [](const std::string& a, const std::string& b) { return file_bytes(a) < file_bytes(b); });
}

double written_fraction(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open " + path);
  constexpr unsigned kExtentsPerCall = 256;
  std::vector<std::uint64_t> storage((sizeof(fiemap) + kExtentsPerCall * sizeof(fiemap_extent)) / 8 + 1);
  auto* map = reinterpret_cast<fiemap*>(storage.data());
  std::uint64_t written = 0;
  std::uint64_t position = 0;
  const std::uint64_t size = file_bytes(path);
  for (bool last = size == 0; !last && position < size;) {
    std::memset(map, 0, sizeof *map);
    map->fm_start = position;
    map->fm_length = size - position;
    map->fm_flags = FIEMAP_FLAG_SYNC;
    map->fm_extent_count = kExtentsPerCall;
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0) {
      ::close(fd);
      return -1;
    }
    if (map->fm_mapped_extents == 0) break;
    for (unsigned index = 0; index < map->fm_mapped_extents; ++index) {
      const fiemap_extent& extent = map->fm_extents[index];
      const std::uint64_t start = std::min<std::uint64_t>(extent.fe_logical, size);
      const std::uint64_t end = std::min<std::uint64_t>(extent.fe_logical + extent.fe_length, size);
      if ((extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN) == 0) written += end - start;
      position = extent.fe_logical + extent.fe_length;
      last = last || (extent.fe_flags & FIEMAP_EXTENT_LAST) != 0;
    }
  }
  ::close(fd);
  return size == 0 ? 1.0 : static_cast<double>(written) / static_cast<double>(size);
}

}  // namespace cambium::bench
