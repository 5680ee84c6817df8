// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/raw_ring.h"

#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "harness/data_file.h"
#include "harness/fail.h"
#include "harness/workload.h"

namespace cambium::bench {
namespace {

constexpr unsigned kPageBytes = 4096;
constexpr double kWarmupSeconds = 0.3;

class RawRing {
 public:
  explicit RawRing(const RawRingRead& run)
      : spin_seconds_(run.spin_us * 1e-6),
        depth_(run.depth),
        page_count_(file_bytes(run.path) / kPageBytes),
        random_(run.seed),
        submitted_at_(run.depth),
        finished_(run.depth) {
    require(page_count_ > 0, "the file is too small to read pages from");
    open_file(run.path);
    set_up_ring();
    map_buffers();
  }

  ~RawRing() {
    io_uring_queue_exit(&ring_);
    munmap(buffers_, buffers_bytes());
    ::close(fd_);
  }
  RawRing(const RawRing&) = delete;
  RawRing& operator=(const RawRing&) = delete;

  Sample run(double seconds) {
    const double start = now_seconds();
    for (unsigned slot = 0; slot < depth_; ++slot) submit(slot, start);
    read_for(kWarmupSeconds);
    latencies_us_.clear();
    latencies_us_.reserve(4'000'000);
    enter_count_ = 0;
    Sample sample = measure([&] { return read_for(seconds); });
    drain();
    add_extras(sample);
    return sample;
  }

 private:
  std::size_t buffers_bytes() const { return std::size_t{depth_} * kPageBytes; }

  void open_file(const std::string& path) {
    fd_ = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd_ < 0) fail("cannot open " + path + " for direct I/O");
  }

  void set_up_ring() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    const int refused = io_uring_queue_init_params(std::max(depth_, 8u), &ring_, &parameters);
    if (refused < 0) fail(std::string("io_uring was refused: ") + std::strerror(-refused));
    if (io_uring_register_files(&ring_, &fd_, 1) < 0) fail("the ring refused to register the file");
    io_uring_register_ring_fd(&ring_);  // saves a few ns per enter; the loop is right without it
  }

  void map_buffers() {
    buffers_ = static_cast<char*>(
        mmap(nullptr, buffers_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0));
    if (buffers_ == MAP_FAILED) fail("no memory for the read buffers");
    const iovec whole{buffers_, buffers_bytes()};
    if (io_uring_register_buffers(&ring_, &whole, 1) < 0) fail("the ring refused to register buffers (ulimit -l)");
  }

  void submit(unsigned slot, double now) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);  // never null: the queue has room for the whole depth
    io_uring_prep_read_fixed(entry, 0, buffers_ + std::size_t{slot} * kPageBytes, kPageBytes,
                             random_.below(page_count_) * kPageBytes, 0);
    entry->flags |= IOSQE_FIXED_FILE;
    entry->user_data = slot;
    submitted_at_[slot] = now;
  }

  // Submits what is prepared and returns with at least one completion ready: spins first, then blocks.
  void submit_and_wait() {
    if (spin_seconds_ > 0) {
      count_enter(io_uring_submit(&ring_));
      const double give_up = now_seconds() + spin_seconds_;
      while (io_uring_cq_ready(&ring_) == 0 && now_seconds() < give_up) {
        if ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_TASKRUN) != 0) {
          count_enter(io_uring_get_events(&ring_));
        } else {
          sched_yield();  // a spin that never yields keeps the kernel's completion worker off this core
        }
      }
      if (io_uring_cq_ready(&ring_) > 0) return;
    }
    count_enter(io_uring_submit_and_wait(&ring_, 1));
  }

  void count_enter(int result) {
    ++enter_count_;
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) {
      fail(std::string("io_uring_enter failed: ") + std::strerror(-result));
    }
  }

  // Collects all completions that are there into finished_; returns their number.
  unsigned reap() {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    const double now = now_seconds();
    io_uring_for_each_cqe(&ring_, head, completion) {
      if (completion->res != static_cast<int>(kPageBytes)) fail("a read came back short or failed");
      const unsigned slot = static_cast<unsigned>(completion->user_data);
      latencies_us_.push_back(static_cast<float>((now - submitted_at_[slot]) * 1e6));
      finished_[count++] = slot;
    }
    io_uring_cq_advance(&ring_, count);
    return count;
  }

  std::uint64_t read_for(double seconds) {
    std::uint64_t read_count = 0;
    double now = now_seconds();
    for (const double end = now + seconds; now < end;) {
      submit_and_wait();
      const unsigned count = reap();
      now = now_seconds();
      for (unsigned index = 0; index < count; ++index) {
        submit(finished_[index], now);
        // Faster at depth 32 than one submission per round, and not dearer.
        if (io_uring_sq_ready(&ring_) >= std::clamp(depth_ / 8, 1u, 16u)) count_enter(io_uring_submit(&ring_));
      }
      read_count += count;
    }
    return read_count;
  }

  // The last round prepared its reads and did not submit them: submit, then collect the whole depth.
  void drain() {
    const std::vector<float> measured = latencies_us_;
    for (unsigned collected = 0; collected < depth_;) {
      submit_and_wait();
      collected += reap();
    }
    latencies_us_ = measured;
  }

  void add_extras(Sample& sample) {
    sample.extras.emplace_back("p50_us", percentile(latencies_us_, 0.50));
    sample.extras.emplace_back("p99_us", percentile(latencies_us_, 0.99));
    sample.extras.emplace_back("enters_per_read",
                               static_cast<double>(enter_count_) / static_cast<double>(sample.operation_count));
  }

  double spin_seconds_;
  unsigned depth_;
  std::uint64_t page_count_;
  Random random_;
  int fd_ = -1;
  io_uring ring_{};
  char* buffers_ = nullptr;
  std::vector<double> submitted_at_;
  std::vector<unsigned> finished_;
  std::vector<float> latencies_us_;
  std::uint64_t enter_count_ = 0;
};

}  // namespace

Sample raw_ring_read(const RawRingRead& run) { return RawRing(run).run(run.seconds); }

}  // namespace cambium::bench
