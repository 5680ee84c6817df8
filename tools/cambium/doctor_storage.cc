// SPDX-License-Identifier: MIT OR Apache-2.0
// The probes of the place where data is to live. They work on a file of their own, which is removed at once.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include <cambium/limits.h>

#include "base/clock.h"
#include "base/histogram.h"
#include "base/text.h"
#include "cambium/doctor_probes.h"
#include "cambium/progress.h"

namespace cambium::cli {
namespace {

using rt::str;

constexpr unsigned kSyncs = 200;
constexpr std::uint64_t kSyncBudgetNs = 3'000'000'000;  // a slow disk is known after fewer
constexpr std::uint64_t kSlowSyncNs = 10'000'000;
constexpr std::uint64_t kInstantSyncNs = 20'000;

// A file without a name.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& directory) {
    std::string path = directory + "/cambium-doctor-XXXXXX";
    fd_ = ::mkostemp(path.data(), O_CLOEXEC);
    error_ = fd_ < 0 ? errno : 0;
    if (fd_ >= 0) ::unlink(path.c_str());
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const noexcept { return fd_; }
  int error() const noexcept { return error_; }

 private:
  int fd_ = -1;
  int error_ = 0;
};

struct Mount {
  std::string type = "unknown";
  std::string source = "unknown";
};

// "36 35 98:0 /root /mnt options - ext4 /dev/root rw": the mount whose device is the directory's.
Mount mount_of(const std::string& directory) {
  struct stat status = {};
  if (::stat(directory.c_str(), &status) != 0) return {};
  const std::string device = str(major(status.st_dev), ":", minor(status.st_dev));
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 3; ++i) words >> word;
    if (word != device) continue;
    while (words >> word && word != "-") {
    }
    Mount mount;
    words >> mount.type >> mount.source;
    return mount;
  }
  return {};
}

Finding probe_file_system(const std::string& directory) {
  const Mount mount = mount_of(directory);
  struct statvfs space = {};
  static_cast<void>(::statvfs(directory.c_str(), &space));
  const std::string text = str(mount.type, " on ", mount.source, ", ",
                               rt::format_bytes(static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize), " free");
  if (mount.type == "tmpfs" || mount.type == "ramfs") {
    return {"file system", Level::warn, str(text, ": it lives in memory, nothing on it survives a restart"),
            "put the data on a disk"};
  }
  if (mount.type.starts_with("nfs") || mount.type == "cifs" || mount.type.starts_with("fuse")) {
    return {"file system", Level::warn, str(text, ": locks and syncs of network file systems cannot be relied upon"),
            "put the data on a local disk"};
  }
  if (mount.type == "btrfs") {
    return {"file system", Level::warn, str(text, ": copy-on-write below copy-on-write costs space and speed"),
            "chattr +C on the directory before the file is made"};
  }
  return {.name = "file system", .text = text};
}

Finding probe_lock(int fd) {
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {.name = "file lock", .text = "flock works"};
  return {"file lock", Level::fail, str("flock: ", std::strerror(errno)), "use a file system with flock"};
}

Finding probe_direct_io(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) {
    return {"direct I/O", Level::warn, str("refused: ", std::strerror(errno), "; pages are cached twice"),
            "use ext4 or xfs, and put no tmpfs below the data"};
  }
  static_cast<void>(::fcntl(fd, F_SETFL, flags));
#ifdef STATX_DIOALIGN
  struct statx details = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &details) == 0 && (details.stx_mask & STATX_DIOALIGN) != 0) {
    if (details.stx_dio_offset_align == 0) {
      return {"direct I/O", Level::warn, "this file system cannot do it; pages are cached twice", "use ext4 or xfs"};
    }
    const std::string text =
        str("alignment ", details.stx_dio_offset_align, " B on disk, ", details.stx_dio_mem_align, " B in memory");
    if (details.stx_dio_offset_align <= kPageBytes) return {.name = "direct I/O", .text = text};
    return {"direct I/O", Level::warn, str(text, ": more than a page of ours"),
            "use a device with sectors of 4 KiB or less"};
  }
#endif
  return {.name = "direct I/O", .text = "accepted; the kernel does not tell the alignment, 4096 B is assumed"};
}

Finding probe_sync(int fd) {
  const auto latencies = std::make_unique<rt::Histogram>();
  const std::string page(kPageBytes, 'd');
  const std::uint64_t started = rt::now_ns();
  for (unsigned i = 0; i < kSyncs && rt::now_ns() - started < kSyncBudgetNs; ++i) {
    const std::uint64_t begun = rt::now_ns();
    const auto offset = static_cast<off_t>(i * kPageBytes);
    if (::pwrite(fd, page.data(), page.size(), offset) != static_cast<ssize_t>(page.size()) || ::fdatasync(fd) != 0) {
      return {"fsync", Level::fail, str("a write and fdatasync failed: ", std::strerror(errno)),
              "free some space, and look at the kernel's log (dmesg)"};
    }
    latencies->record(rt::now_ns() - begun);
  }
  const std::uint64_t p50 = latencies->percentile(50);
  const std::string text =
      str("write and fdatasync of 4 KiB: p50 ", format_seconds(static_cast<double>(p50) / 1e9), ", p99 ",
          format_seconds(static_cast<double>(latencies->percentile(99)) / 1e9), " (", latencies->count(), " times)");
  if (p50 > kSlowSyncNs) return {"fsync", Level::warn, text, "flush in larger groups, or use a faster disk"};
  if (p50 < kInstantSyncNs) {
    return {"fsync", Level::warn, str(text, ": too fast for a device; a power cut may lose what was acknowledged"),
            "check what the disk is (memory? a cache that ignores syncs?)"};
  }
  return {.name = "fsync", .text = text};
}

}  // namespace

std::vector<Finding> probe_storage(const std::string& directory) {
  const ScratchFile file(directory);
  if (file.fd() < 0) {
    return {{"directory", Level::fail, str("cannot make a file in ", directory, ": ", std::strerror(file.error())),
             "make the directory, or get write permission for it"}};
  }
  return {probe_file_system(directory), probe_lock(file.fd()), probe_direct_io(file.fd()), probe_sync(file.fd())};
}

}  // namespace cambium::cli
