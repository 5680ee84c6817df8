// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/fio.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/data_file.h"
#include "harness/fail.h"

extern char** environ;

namespace cambium::bench {
namespace {

// Runs a program without a shell (file names may hold anything) and returns what it wrote to stdout.
std::string output_of(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("cannot make a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  pid_t child = 0;
  const int refused = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (refused != 0) fail(arguments[0] + " cannot be run; install it (apt-get install fio)");
  std::string text;
  char chunk[4096];
  for (;;) {
    const ssize_t got = ::read(ends[0], chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(chunk, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail(arguments[0] + " failed: " + text.substr(0, 500));
  return text;
}

// `direction` is "read" or "write": the half of fio's report that the job filled.
Sample run_fio(std::vector<std::string> job, const char* direction, int core) {
  std::vector<std::string> arguments = {
      "fio",           "--name=ceiling",    "--ioengine=io_uring", "--direct=1",
      "--fixedbufs=1", "--registerfiles=1", "--time_based=1",      "--output-format=json"};
  arguments.insert(arguments.end(), job.begin(), job.end());
  if (core >= 0) arguments.push_back("--cpus_allowed=" + std::to_string(core));
  const std::string text = output_of(arguments);
  const std::size_t start = text.find('{');  // fio may print remarks before its report
  const nlohmann::json report =
      nlohmann::json::parse(start == std::string::npos ? "" : text.substr(start), nullptr, false);
  if (report.is_discarded() || !report.contains("jobs")) fail("fio's report is not JSON: " + text.substr(0, 500));
  const nlohmann::json& done = report["jobs"][0];
  const nlohmann::json& half = done[direction];
  Sample sample;
  sample.operation_count = half["total_ios"].get<std::uint64_t>();
  sample.wall_seconds = half["runtime"].get<double>() * 1e-3;
  sample.cpu_seconds = (done["usr_cpu"].get<double>() + done["sys_cpu"].get<double>()) / 100 *
                       (done["job_runtime"].get<double>() * 1e-3);
  if (sample.operation_count == 0 || sample.wall_seconds <= 0) fail("fio did no I/O");
  if (half["clat_ns"].contains("percentile")) {
    const nlohmann::json& percentile = half["clat_ns"]["percentile"];
    sample.extras.emplace_back("p50_us", percentile["50.000000"].get<double>() * 1e-3);
    sample.extras.emplace_back("p99_us", percentile["99.000000"].get<double>() * 1e-3);
  }
  return sample;
}

}  // namespace

Sample fio_random_read(const FioRandomRead& run) {
  return run_fio({"--rw=randread", "--bs=4k", "--readonly", "--norandommap", "--filename=" + run.path,
                  "--iodepth=" + std::to_string(run.depth), "--runtime=" + std::to_string(run.seconds),
                  "--randseed=" + std::to_string(run.seed >> 1)},
                 "read", run.core);
}

Sample fio_sequential_write(const FioSequentialWrite& run) {
  const std::string path = run.dir + "/fio-sequential-write";
  Sample sample = run_fio({"--rw=write", "--bs=" + std::to_string(run.block_bytes), "--size=1g", "--filename=" + path,
                           "--iodepth=" + std::to_string(run.depth), "--runtime=" + std::to_string(run.seconds)},
                          "write", run.core);
  ::unlink(path.c_str());
  sample.extras.emplace_back("mb_per_s", sample.rate() * run.block_bytes * 1e-6);
  return sample;
}

std::string fio_version() {
  std::string text = output_of({"fio", "--version"});
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return text;
}

}  // namespace cambium::bench
