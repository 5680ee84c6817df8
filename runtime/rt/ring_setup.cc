// SPDX-License-Identifier: MIT OR Apache-2.0
//
// How a UringBackend comes to its ring: flags and registrations, each of which may be refused on its own.
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "rt/posix_file.h"
#include "rt/uring_backend.h"

namespace cambium::rt {
namespace {

constexpr unsigned kFileSlots = 64;
constexpr unsigned kBufferSlots = 4096;
constexpr unsigned kCompletionsPerEntry = 4;  // completion queue entries per submission queue entry

// Later ones need earlier ones: DEFER_TASKRUN needs SINGLE_ISSUER, TASKRUN_FLAG needs one of the TASKRUN modes.
constexpr unsigned kFlags[] = {IORING_SETUP_CLAMP,         IORING_SETUP_SUBMIT_ALL,   IORING_SETUP_SINGLE_ISSUER,
                               IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_TASKRUN_FLAG};
constexpr unsigned kWanted = IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                             IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

struct Trial {
  unsigned entries;
};

io_uring_params parameters(unsigned entries, unsigned flags) noexcept {
  io_uring_params params{};
  params.flags = flags | IORING_SETUP_CQSIZE;
  params.cq_entries = entries * kCompletionsPerEntry;
  return params;
}

int try_ring(unsigned flags, void* context) {
  const unsigned entries = static_cast<Trial*>(context)->entries;
  io_uring ring{};
  io_uring_params params = parameters(entries, flags);
  const int outcome = io_uring_queue_init_params(entries, &ring, &params);
  if (outcome == 0) io_uring_queue_exit(&ring);
  return outcome;
}

Error ring_error(int error) {
  const std::string text = str("io_uring is refused: ", errno_text(error));
  switch (error) {
    case EPERM:
      return Error(Errc::unsupported, text, "a container's seccomp profile or kernel.io_uring_disabled forbids it");
    case ENOSYS:
      return Error(Errc::unsupported, text, "Linux 5.11 or newer has it");
    case EINVAL:
      return Error(Errc::unsupported, text, "the kernel is too old for the ring we ask for");
    case ENOMEM:
      return Error(Errc::resource, text, "raise ulimit -l, or lower queue_depth");
    case EMFILE:
    case ENFILE:
      return Error(Errc::resource, text, "raise ulimit -n");
    default:
      return Error(Errc::resource, text);
  }
}

}  // namespace

std::string_view ring_flag_name(unsigned flag) noexcept {
  switch (flag) {
    case IORING_SETUP_CLAMP:
      return "CLAMP";
    case IORING_SETUP_SUBMIT_ALL:
      return "SUBMIT_ALL";
    case IORING_SETUP_SINGLE_ISSUER:
      return "SINGLE_ISSUER";
    case IORING_SETUP_DEFER_TASKRUN:
      return "DEFER_TASKRUN";
    case IORING_SETUP_COOP_TASKRUN:
      return "COOP_TASKRUN";
    case IORING_SETUP_TASKRUN_FLAG:
      return "TASKRUN_FLAG";
    default:
      return "an unknown flag";
  }
}

unsigned accepted_ring_flags(unsigned wanted, int (*try_setup)(unsigned flags, void* context), void* context) {
  if (try_setup(wanted, context) == 0) return wanted;
  unsigned accepted = 0;
  for (const unsigned flag : kFlags) {
    // Without DEFER_TASKRUN the cooperative mode is the next best; with it, the kernel refuses both.
    const bool substitute = flag == IORING_SETUP_COOP_TASKRUN && (wanted & IORING_SETUP_DEFER_TASKRUN) != 0 &&
                            (accepted & IORING_SETUP_DEFER_TASKRUN) == 0;
    if ((wanted & flag) == 0 && !substitute) continue;
    if (try_setup(accepted | flag, context) == 0) accepted |= flag;
  }
  return accepted;
}

Result<std::unique_ptr<UringBackend>> UringBackend::create(const CoreOptions& options) {
  std::unique_ptr<UringBackend> backend(new UringBackend);
  if (Status status = backend->set_up(options); !status) return status.error();
  return backend;
}

Status UringBackend::set_up(const CoreOptions& options) {
  if (Status status = create_ring(options.queue_depth); !status) return status;
  event_fd_ = ::eventfd(0, EFD_CLOEXEC);
  if (event_fd_ < 0) {
    return Error(Errc::resource, str("cannot make an eventfd: ", errno_text(errno)), "raise ulimit -n");
  }
  register_features();
  arm_event_read();
  // Handed over now: whoever polls fd() before the first turn must already see a wake().
  enter(0, -1);
  return {};
}

Status UringBackend::create_ring(unsigned entries) {
  unsigned flags = kWanted;
  io_uring_params params = parameters(entries, flags);
  int outcome = io_uring_queue_init_params(entries, &ring_, &params);
  if (outcome == -EINVAL) {
    Trial trial{entries};
    flags = accepted_ring_flags(kWanted, &try_ring, &trial);
    for (const unsigned flag : kFlags) {
      if ((kWanted & flag) != 0 && (flags & flag) == 0) add_note(ring_flag_name(flag), "the kernel does not know it");
    }
    params = parameters(entries, flags);
    outcome = io_uring_queue_init_params(entries, &ring_, &params);
  }
  if (outcome != 0) return ring_error(-outcome);
  ring_made_ = true;
  taskrun_flag_ = (flags & IORING_SETUP_TASKRUN_FLAG) != 0;
  // Kernels that drop completions on overflow are refused; the reserve is for cancels, wake-ups and ring messages.
  if ((params.features & IORING_FEAT_NODROP) == 0) {
    return Error(Errc::unsupported, "io_uring is refused: this kernel may drop completions", "Linux 5.11 or newer");
  }
  completions_max_ = params.cq_entries - params.cq_entries / 4;
  return {};
}

void UringBackend::register_features() {
  if (const int outcome = io_uring_register_ring_fd(&ring_); outcome != 1) {
    add_note("registered ring descriptor", errno_text(outcome < 0 ? -outcome : EINVAL));
  }
  if (const int outcome = io_uring_register_files_sparse(&ring_, kFileSlots); outcome == 0) {
    files_registered_ = true;
  } else {
    add_note("registered files", errno_text(-outcome));
  }
  if (const int outcome = io_uring_register_buffers_sparse(&ring_, kBufferSlots); outcome == 0) {
    buffers_registered_ = true;
    free_buffers_.reserve(kBufferSlots);
    for (unsigned slot = kBufferSlots; slot != 0; --slot) free_buffers_.push_back(static_cast<std::uint16_t>(slot - 1));
  } else {
    add_note("registered buffers", errno_text(-outcome));
  }
  if (io_uring_probe* const probe = io_uring_get_probe_ring(&ring_); probe != nullptr) {
    has_ftruncate_ = io_uring_opcode_supported(probe, kOpFtruncate) != 0;
    io_uring_free_probe(probe);
  }
}

// One line in the log per feature and process, and one in note().
void UringBackend::add_note(std::string_view feature, std::string_view reason) {
  const std::string text = str("io_uring without ", feature, ": ", reason);
  log_once(str("uring ", feature), LogLevel::warn, text);
  if (note_.find(text) != std::string::npos) return;
  if (!note_.empty()) note_ += "; ";
  note_ += text;
}

UringBackend::~UringBackend() {
  CAMBIUM_ASSERT_MSG(in_flight_ == 0, "a ring is destroyed while requests are in flight");
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (files_[i].fd >= 0) close_file(static_cast<std::int32_t>(i));
  }
  // The armed read of the eventfd points into this object, and the kernel ends what is left on a closed ring only
  // after the close returned: end it here.
  if (ring_made_) {
    wake();
    while (in_kernel_ != 0) {
      enter(1, -1);
      collect();
    }
  }
  if (ring_made_) io_uring_queue_exit(&ring_);
  if (event_fd_ >= 0) ::close(event_fd_);
}

// ---------------------------------------------------------------------------------------------- files and buffers

Result<OpenedFile> UringBackend::open_file(const FileSpec& spec) {
  Result<PosixFile> opened = open_posix_file(spec);
  if (!opened) return opened.error();
  std::size_t index = 0;
  while (index < files_.size() && files_[index].fd >= 0) ++index;
  if (index == files_.size()) files_.emplace_back();
  File& file = files_[index];
  file = {.fd = opened->fd, .registered = false};
  if (files_registered_ && index < kFileSlots) {
    const int outcome = io_uring_register_files_update(&ring_, static_cast<unsigned>(index), &file.fd, 1);
    file.registered = outcome == 1;
    if (outcome != 1) add_note("registered files", errno_text(outcome < 0 ? -outcome : EINVAL));
  }
  OpenedFile info = opened->info;
  info.file = static_cast<std::int32_t>(index);
  return info;
}

void UringBackend::close_file(std::int32_t handle) noexcept {
  CAMBIUM_ASSERT(handle >= 0 && static_cast<std::size_t>(handle) < files_.size());
  File& file = files_[static_cast<std::size_t>(handle)];
  CAMBIUM_ASSERT_MSG(file.fd >= 0, "a file is closed twice");
  if (file.registered) {
    int none = -1;
    static_cast<void>(io_uring_register_files_update(&ring_, static_cast<unsigned>(handle), &none, 1));
  }
  close_posix_file(file.fd);
  file = {};
}

std::int32_t UringBackend::register_buffer(char* data, std::size_t bytes) noexcept {
  if (!buffers_registered_) return -1;
  if (free_buffers_.empty()) {
    add_note("some registered buffers", "all slots are taken");
    return -1;
  }
  const unsigned slot = free_buffers_.back();
  const iovec piece = {.iov_base = data, .iov_len = bytes};
  const int outcome = io_uring_register_buffers_update_tag(&ring_, slot, &piece, nullptr, 1);
  if (outcome != 1) {
    const int error = outcome < 0 ? -outcome : EINVAL;
    add_note("some registered buffers",
             error == ENOMEM ? str(errno_text(error), " (raise ulimit -l)") : errno_text(error));
    return -1;
  }
  free_buffers_.pop_back();
  return static_cast<std::int32_t>(slot);
}

void UringBackend::unregister_buffer(std::int32_t index) noexcept {
  CAMBIUM_ASSERT(index >= 0 && index < static_cast<std::int32_t>(kBufferSlots));
  const auto slot = static_cast<unsigned>(index);
  const iovec none = {.iov_base = nullptr, .iov_len = 0};
  static_cast<void>(io_uring_register_buffers_update_tag(&ring_, slot, &none, nullptr, 1));
  CAMBIUM_ASSERT(free_buffers_.size() < kBufferSlots);
  free_buffers_.push_back(static_cast<std::uint16_t>(slot));
}

Result<std::unique_ptr<IoBackend>> make_uring_backend(const CoreOptions& options) {
  Result<std::unique_ptr<UringBackend>> backend = UringBackend::create(options);
  if (!backend) return backend.error();
  return std::unique_ptr<IoBackend>(std::move(*backend));
}

}  // namespace cambium::rt
