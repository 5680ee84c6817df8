// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Runs a piece of code in a forked child, to see it die.
#pragma once

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <string>

#include "support/child_exit.h"

namespace cambium::rt::testing {

struct Death {
  bool by_abort = false;  // SIGABRT; a sanitizer's own exit does not count
  bool at_all = false;    // anything but a normal exit with status 0
  std::string output;     // what the child wrote to stderr
};

/// Runs `body()` in a child. The test framework's signal handlers are taken off there: they would report.
template <class Body>
Death run_in_child(Body body) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    for (const int signal : {SIGABRT, SIGSEGV, SIGBUS}) std::signal(signal, SIG_DFL);
    ::dup2(ends[1], STDERR_FILENO);
    body();
    cambium::test::exit_child(0);
  }
  ::close(ends[1]);
  Death death;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(ends[0], buffer, sizeof buffer);
    if (got <= 0) break;
    death.output.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return {};
  death.by_abort = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  death.at_all = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  return death;
}

}  // namespace cambium::rt::testing
