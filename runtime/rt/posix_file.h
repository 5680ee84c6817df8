// SPDX-License-Identifier: MIT OR Apache-2.0
// PosixFile: opening, checking and locking a file or block device, the same for every backend that uses the kernel.
//
// The lock is flock(): record locks would let the in-flight writes of a killed process land after its successor has
// read the file.
//
// Units      bytes.
// Errors     each names the path, the reason and, where there is one, the remedy.
// Lifetime   the descriptor is closed, and the lock released, by close_posix_file().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <cambium/rt/result.h>

#include "rt/io_backend.h"

namespace cambium::rt {

struct PosixFile {
  int fd = -1;
  OpenedFile info;  // `file` is the backend's to fill in
};

// Opens and locks without waiting. A file that this call created is also entered durably in its directory.
Result<PosixFile> open_posix_file(const FileSpec& spec);
void close_posix_file(int fd) noexcept;

// Makes the file `bytes` long; new space is allocated where the file system can. Returns 0 or -errno.
std::int32_t resize_posix_file(int fd, std::uint64_t bytes) noexcept;

// "Permission denied" for EACCES; never null, thread-safe.
std::string errno_text(int error);

// Who holds a flock on this inode, as /proc/locks tells: "process 1234 (cambium)"; empty when it does not.
std::string lock_holder(int fd);

}  // namespace cambium::rt
