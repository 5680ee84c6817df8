// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/interrupt.h"

#include <unistd.h>
#include <csignal>

namespace cambium::cli {
namespace {

constexpr int kExitInterrupted = 130;
volatile std::sig_atomic_t interrupt_count = 0;

void on_interrupt(int) noexcept {
  if (interrupt_count != 0) ::_exit(kExitInterrupted);
  interrupt_count = 1;
}

}  // namespace

void install_signal_handlers() noexcept {
  struct sigaction action = {};
  action.sa_handler = &on_interrupt;
  action.sa_flags = SA_RESTART;  // the engine's own system calls are not disturbed
  static_cast<void>(::sigaction(SIGINT, &action, nullptr));
  static_cast<void>(::sigaction(SIGTERM, &action, nullptr));
  action.sa_handler = SIG_IGN;
  static_cast<void>(::sigaction(SIGPIPE, &action, nullptr));
}

bool interrupted() noexcept { return interrupt_count != 0; }

}  // namespace cambium::cli
