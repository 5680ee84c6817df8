// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/victim.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/fail.h"

extern char** environ;

namespace cambium::bench {
namespace {

constexpr int kReadyFd = 3;
constexpr char kReady = 'R';

}  // namespace

void run_and_kill(const std::vector<std::string>& arguments) {
  int ends[2];
  if (::pipe(ends) != 0) fail("no pipe to a child process");
  std::vector<std::string> own = arguments;
  own.insert(own.begin(), "/proc/self/exe");
  std::vector<char*> argv;
  for (std::string& argument : own) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_adddup2(&actions, ends[1], kReadyFd);
  pid_t child = -1;
  const int refused = ::posix_spawn(&child, own[0].c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (refused != 0) fail("cannot start a child process");
  char said = 0;
  const ssize_t bytes = ::read(ends[0], &said, 1);
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ends[0]);
  if (bytes != 1 || said != kReady || !WIFSIGNALED(status)) fail("a child process ended before it was to be killed");
}

void await_kill() {
  if (::write(kReadyFd, &kReady, 1) != 1) fail("nobody waits for this child process");
  for (;;) ::pause();
}

}  // namespace cambium::bench
