// SPDX-License-Identifier: MIT OR Apache-2.0
#include "rt/posix_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/text.h"

namespace cambium::rt {
namespace {

constexpr unsigned kDirectAlignment = 4096;  // where the kernel does not say what direct I/O needs

// Closes on every path that does not hand the descriptor out.
class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error open_error(const FileSpec& spec, int error) {
  const std::string text = str(spec.create ? "cannot create " : "cannot open ", spec.path, ": ", errno_text(error));
  switch (error) {
    case ENOENT:
      return Error(Errc::not_found, text,
                   spec.create ? "create the directory first" : "check the path, or create the file first");
    case ENOTDIR:
      return Error(Errc::not_found, text, "a part of the path is not a directory");
    case EEXIST:
      return Error(Errc::exists, text, "open it instead, or choose another path");
    case EBUSY:
      return Error(Errc::busy, text, "the device is mounted or in use");
    case ETXTBSY:
      return Error(Errc::busy, text, "the file is a program that runs");
    case EISDIR:
    case ENXIO:
    case ENODEV:
      return Error(Errc::unsupported, text, "give the path of a regular file or a block device");
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
      return Error(Errc::invalid_argument, text, "check the path");
    case EMFILE:
    case ENFILE:
      return Error(Errc::resource, text, "raise ulimit -n");
    case ENOMEM:
      return Error(Errc::resource, text);
    case ENOSPC:
    case EDQUOT:
      return Error(Errc::no_space, text, "free some space");
    case EACCES:
    case EPERM:
      return Error(Errc::io, text, "check the permissions of the file and its directory");
    case EROFS:
      return Error(Errc::io, text, "the file system is mounted read-only: open the file read-only");
    default:
      return Error(Errc::io, text);
  }
}

std::string_view kind_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISCHR(mode)) return "a character device";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "something else";
}

bool usable(mode_t mode) noexcept { return S_ISREG(mode) || S_ISBLK(mode); }

Error kind_error(const FileSpec& spec, mode_t mode) {
  return Error(Errc::unsupported, str("cannot open ", spec.path, ": it is ", kind_of(mode)),
               "give the path of a regular file or a block device");
}

// Makes the name of a new file survive a power cut. Best effort where a directory cannot be opened or synced.
Status sync_directory(const FileSpec& spec) {
  const std::size_t slash = spec.path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "." : (slash == 0 ? "/" : spec.path.substr(0, slash));
  const Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return {};
  if (::fsync(fd.get()) != 0 && errno != EINVAL) {
    return Error(Errc::io, str("cannot sync directory ", directory, ": ", errno_text(errno)));
  }
  return {};
}

// Direct I/O is asked for after the open: O_CREAT | O_DIRECT leaves a file behind where O_DIRECT is refused.
void try_direct(int fd, OpenedFile& info) noexcept {
  struct statfs system = {};
  if (::fstatfs(fd, &system) != 0) return;
  // Takes the flag, and copies all the same.
  if (system.f_type == TMPFS_MAGIC || system.f_type == RAMFS_MAGIC) return;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return;
  info.direct = true;
  info.alignment = kDirectAlignment;
#ifdef STATX_DIOALIGN
  struct statx details = {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &details) != 0) return;
  if ((details.stx_mask & STATX_DIOALIGN) == 0) return;
  if (details.stx_dio_offset_align == 0) {  // this file cannot do it (encrypted, compressed, ...)
    static_cast<void>(::fcntl(fd, F_SETFL, flags));
    info.direct = false;
    info.alignment = 1;
    return;
  }
  info.alignment = details.stx_dio_offset_align > details.stx_dio_mem_align ? details.stx_dio_offset_align
                                                                            : details.stx_dio_mem_align;
#endif
}

Result<std::uint64_t> measure(int fd, const FileSpec& spec, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return static_cast<std::uint64_t>(status.st_size);
  std::uint64_t bytes = 0;
  if (::ioctl(fd, BLKGETSIZE64, &bytes) == 0) return bytes;
  return Error(Errc::io, str("cannot ask for the size of ", spec.path, ": ", errno_text(errno)));
}

Status lock(int fd, const FileSpec& spec) {
  const int mode = spec.read_only ? LOCK_SH : LOCK_EX;
  int outcome = 0;
  do {
    outcome = ::flock(fd, mode | LOCK_NB);
  } while (outcome != 0 && errno == EINTR);
  if (outcome == 0) return {};
  if (errno != EWOULDBLOCK) {
    return Error(Errc::io, str("cannot lock ", spec.path, ": ", errno_text(errno)),
                 "the file system must support flock()");
  }
  const std::string holder = lock_holder(fd);
  return Error(Errc::busy, str(spec.path, " is locked by ", holder.empty() ? "another open file" : holder.c_str()),
               "close it there first");
}

}  // namespace

std::string errno_text(int error) {
  char buffer[128];
  return ::strerror_r(error, buffer, sizeof buffer);  // the GNU one: returns the text
}

std::string lock_holder(int fd) {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return {};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> locks(std::fopen("/proc/locks", "re"), &std::fclose);
  if (!locks) return {};
  char line[256];
  while (std::fgets(line, sizeof line, locks.get()) != nullptr) {
    // "12: FLOCK  ADVISORY  WRITE 1234 fe:00:98765 0 EOF"; waiters have "->" after the number.
    long pid = 0;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    std::uint64_t inode = 0;
    if (std::sscanf(line, "%*d: FLOCK %*s %*s %ld %x:%x:%" SCNu64, &pid, &major_number, &minor_number, &inode) != 4) {
      continue;
    }
    if (inode != status.st_ino || major_number != major(status.st_dev) || minor_number != minor(status.st_dev))
      continue;
    if (pid <= 0) return "a process of another container";
    if (pid == ::getpid()) return "this process";
    char name[64] = "";
    const std::string path = str("/proc/", pid, "/comm");
    if (const std::unique_ptr<std::FILE, int (*)(std::FILE*)> comm(std::fopen(path.c_str(), "re"), &std::fclose);
        comm) {
      if (std::fgets(name, sizeof name, comm.get()) != nullptr) name[std::strcspn(name, "\n")] = '\0';
    }
    return name[0] == '\0' ? str("process ", pid) : str("process ", pid, " (", static_cast<const char*>(name), ")");
  }
  return {};
}

Result<PosixFile> open_posix_file(const FileSpec& spec) {
  if (spec.path.empty() || spec.path.find('\0') != std::string::npos) {
    return Error(Errc::invalid_argument, "cannot open a file without a path", "give the path of the data file");
  }
  // Looked at before it is opened: opening some devices and pipes has effects, or waits.
  struct stat status = {};
  const bool there = ::stat(spec.path.c_str(), &status) == 0;
  if (there && !spec.create && !usable(status.st_mode)) return kind_error(spec, status.st_mode);

  int flags = O_CLOEXEC | (spec.read_only ? O_RDONLY : O_RDWR);
  if (spec.create) flags |= O_CREAT | O_EXCL;
  if (there && S_ISBLK(status.st_mode) && !spec.read_only) flags |= O_EXCL;  // refuses a mounted device
  Descriptor fd(::open(spec.path.c_str(), flags, 0644));
  if (fd.get() < 0) return open_error(spec, errno);

  if (::fstat(fd.get(), &status) != 0) return open_error(spec, errno);
  if (!usable(status.st_mode)) return kind_error(spec, status.st_mode);
  if (Status locked = lock(fd.get(), spec); !locked) return locked.error();
  // Another process may have resized it until we had the lock.
  if (::fstat(fd.get(), &status) != 0) return open_error(spec, errno);

  PosixFile file;
  Result<std::uint64_t> size = measure(fd.get(), spec, status);
  if (!size) return size.error();
  file.info.size_bytes = *size;
  file.info.resizable = S_ISREG(status.st_mode);
  if (spec.direct) try_direct(fd.get(), file.info);
  if (spec.create) {
    if (Status synced = sync_directory(spec); !synced) return synced.error();
  }
  file.fd = fd.release();
  return file;
}

void close_posix_file(int fd) noexcept {
  CAMBIUM_ASSERT(fd >= 0);
  // Explicitly: a descriptor that a forked child or the ring still holds would keep the lock.
  static_cast<void>(::flock(fd, LOCK_UN));
  ::close(fd);
}

std::int32_t resize_posix_file(int fd, std::uint64_t bytes) noexcept {
  struct stat status = {};
  if (::fstat(fd, &status) != 0) return -errno;
  const auto size = static_cast<off_t>(bytes);
  if (size > status.st_size) {
    if (::fallocate(fd, 0, status.st_size, size - status.st_size) == 0) return 0;
    if (errno != EOPNOTSUPP) return -errno;
  }
  return ::ftruncate(fd, size) == 0 ? 0 : -errno;
}

}  // namespace cambium::rt
