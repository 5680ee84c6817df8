// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/raw_sync.h"

#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "harness/fail.h"

namespace cambium::bench {
namespace {

constexpr std::size_t kFileBytes = std::size_t{64} << 20;
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;
constexpr double kWarmupSeconds = 0.1;

class RawSyncLoop {
 public:
  explicit RawSyncLoop(const RawSync& run) : run_(run), path_(run.dir + "/raw-sync") {
    require(run.bytes_per_write != 0 && run.bytes_per_write % 4096 == 0 && run.bytes_per_write <= kBufferBytes,
            "a bare durable write has 4 KiB to 1 MiB, in whole pages");
    map_buffer();
    make_file();
    set_up_ring();
  }
  ~RawSyncLoop() {
    io_uring_queue_exit(&ring_);
    ::close(fd_);
    ::unlink(path_.c_str());
    munmap(buffer_, kBufferBytes);
  }
  RawSyncLoop(const RawSyncLoop&) = delete;
  RawSyncLoop& operator=(const RawSyncLoop&) = delete;

  Sample run() {
    write_for(kWarmupSeconds);
    latencies_us_.clear();
    latencies_us_.reserve(1'000'000);
    Sample sample = measure([&] { return write_for(run_.seconds) * run_.records_per_write; });
    sample.extras.emplace_back("p50_us", percentile(latencies_us_, 0.50));
    sample.extras.emplace_back("p99_us", percentile(latencies_us_, 0.99));
    return sample;
  }

 private:
  void map_buffer() {
    buffer_ = static_cast<char*>(
        mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (buffer_ == MAP_FAILED) fail("no memory for the write buffer");
  }

  void make_file() {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_DIRECT | O_CLOEXEC, 0600);
    if (fd_ < 0) fail("cannot make " + path_ + " for direct I/O");
    for (std::size_t at = 0; at < kFileBytes; at += kBufferBytes) {
      if (::pwrite(fd_, buffer_, kBufferBytes, static_cast<off_t>(at)) != static_cast<ssize_t>(kBufferBytes))
        fail("cannot fill " + path_);
    }
    if (::fsync(fd_) != 0) fail("cannot sync " + path_);
    std::memset(buffer_, 'x', kBufferBytes);
  }

  void set_up_ring() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    const int refused = io_uring_queue_init_params(8, &ring_, &parameters);
    if (refused < 0) fail(std::string("io_uring was refused: ") + std::strerror(-refused));
    if (io_uring_register_files(&ring_, &fd_, 1) < 0) fail("the ring refused to register the file");
    io_uring_register_ring_fd(&ring_);  // saves a few ns per enter; the loop is right without it
    const iovec whole{buffer_, kBufferBytes};
    if (io_uring_register_buffers(&ring_, &whole, 1) < 0) fail("the ring refused to register buffers (ulimit -l)");
  }

  void enter(int result) {
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY)
      fail(std::string("io_uring_enter failed: ") + std::strerror(-result));
  }

  void write_once() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);  // never null: one in flight
    io_uring_prep_write_fixed(entry, 0, buffer_, run_.bytes_per_write, offset_, 0);
    entry->rw_flags = RWF_DSYNC;
    entry->flags |= IOSQE_FIXED_FILE;
    offset_ = offset_ + 2 * run_.bytes_per_write > kFileBytes ? 0 : offset_ + run_.bytes_per_write;
    const double start = now_seconds();
    enter(io_uring_submit(&ring_));
    double now = start;
    for (const double give_up = start + run_.spin_us * 1e-6; io_uring_cq_ready(&ring_) == 0; now = now_seconds()) {
      if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0) {
        enter(io_uring_get_events(&ring_));
      } else if (now >= give_up) {
        enter(io_uring_submit_and_wait(&ring_, 1));
      } else {
        sched_yield();  // a spin that never yields keeps the kernel's completion worker off this core
      }
    }
    io_uring_cqe* completion = nullptr;
    if (io_uring_peek_cqe(&ring_, &completion) != 0 || completion->res != static_cast<int>(run_.bytes_per_write))
      fail("a durable write came back short or failed");
    io_uring_cqe_seen(&ring_, completion);
    latencies_us_.push_back(static_cast<float>((now_seconds() - start) * 1e6));
  }

  std::uint64_t write_for(double seconds) {
    std::uint64_t count = 0;
    for (const double end = now_seconds() + seconds; now_seconds() < end; ++count) write_once();
    return count;
  }

  RawSync run_;
  std::string path_;
  char* buffer_ = nullptr;
  int fd_ = -1;
  io_uring ring_{};
  std::uint64_t offset_ = 0;
  std::vector<float> latencies_us_;
};

}  // namespace

Sample raw_sync_write(const RawSync& run) { return RawSyncLoop(run).run(); }

}  // namespace cambium::bench
