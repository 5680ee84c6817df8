// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/input.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"
#include "cambium/interrupt.h"

namespace cambium::cli {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
constexpr std::int64_t kPauseNs = 2'000'000;

Error input_error(std::string_view what, const std::string& name, int error) {
  const Errc code = error == ENOENT || error == ENOTDIR ? Errc::not_found : Errc::io;
  return Error(code, rt::str("cannot ", what, " ", name, ": ", std::strerror(error)),
               "check the path and its permissions");
}

bool readable(int fd) noexcept {
  pollfd wait = {.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, 0) != 0;  // an error is readable too: read() will name it
}

}  // namespace

Input::Input(int fd, std::string name, std::uint64_t size_bytes) noexcept
    : fd_(fd), name_(std::move(name)), size_bytes_(size_bytes) {}

Input::~Input() {
  if (fd_ != STDIN_FILENO) ::close(fd_);
}

Result<std::unique_ptr<Input>> Input::open(const std::string& path) {
  const bool standard = path == "-";
  const std::string name = standard ? "standard input" : path;
  const int fd = standard ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return input_error("open", name, errno);
  struct stat status = {};
  const bool regular = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return std::unique_ptr<Input>(new Input(fd, name, regular ? static_cast<std::uint64_t>(status.st_size) : 0));
}

bool Input::next_line(std::string_view& line) noexcept {
  const std::size_t newline = buffer_.find('\n', searched_);
  std::size_t end = newline;
  if (newline == std::string::npos) {
    searched_ = buffer_.size();
    if (!ended_ || start_ == buffer_.size()) return false;
    end = buffer_.size();
  }
  line = std::string_view(buffer_).substr(start_, end - start_);
  start_ = searched_ = newline == std::string::npos ? end : end + 1;
  ++lines_;
  return true;
}

Task<Result<bool>> Input::fill(Core& core) {
  if (ended_) co_return false;
  buffer_.erase(0, start_);
  searched_ -= start_;
  start_ = 0;
  if (buffer_.size() > kLineBytesMax) {
    co_return Error(Errc::invalid_argument, rt::str("line ", lines_ + 1, " of ", name_, " is longer than 2 GiB"),
                    "is this a text file?");
  }
  while (!readable(fd_)) {
    if (interrupted()) co_return false;
    co_await core.sleep_ns(kPauseNs);
  }
  const std::size_t before = buffer_.size();
  buffer_.resize(before + kChunkBytes);
  ssize_t got = 0;
  do {
    got = ::read(fd_, buffer_.data() + before, kChunkBytes);
  } while (got < 0 && errno == EINTR);
  const int error = errno;
  buffer_.resize(before + static_cast<std::size_t>(got > 0 ? got : 0));
  if (got < 0) co_return input_error("read", name_, error);
  read_bytes_ += static_cast<std::uint64_t>(got);
  ended_ = got == 0;
  // At the end there may be a last line without a newline.
  co_return !ended_ || start_ < buffer_.size();
}

}  // namespace cambium::cli
