// SPDX-License-Identifier: MIT OR Apache-2.0
// Folders and files under measurement.
//
// A read of a hole or of an unwritten extent never reaches the device; a ceiling measured over such a
// file would be too high. So the written part is asked of the file system, not assumed from the size.
//
// Units      bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cambium::bench {

// A fresh folder below `parent`, removed with all it holds when the object dies or the process exits
// through fail(), unless kept. One at a time.
class ScratchDir {
 public:
  ScratchDir(const std::string& parent, bool keep);
  ~ScratchDir();
  ScratchDir(const ScratchDir&) = delete;
  ScratchDir& operator=(const ScratchDir&) = delete;

  const std::string& path() const { return path_; }
  // An empty folder of that name inside; an older one is removed first.
  std::string fresh(const std::string& name) const;

 private:
  std::string path_;
  bool keep_;
};

std::uint64_t file_bytes(const std::string& path);
// What the file system has allocated for the files below a folder: holes do not count, preallocated space does.
std::uint64_t allocated_bytes(const std::string& dir);
std::string largest_file(const std::vector<std::string>& paths);

// The part of the file, 0..1 of its size, that lies in written extents. Negative: the file system does not say.
double written_fraction(const std::string& path);

}  // namespace cambium::bench
