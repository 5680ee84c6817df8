// SPDX-License-Identifier: MIT OR Apache-2.0
// Signals: an interrupt is a flag that verbs look at between two steps, so that what was begun ends well.
//
// SIGINT and SIGTERM set the flag; a second one ends the process at once, with exit code 130. SIGPIPE is ignored:
// writes say EPIPE.
#pragma once

namespace cambium::cli {

void install_signal_handlers() noexcept;
bool interrupted() noexcept;

}  // namespace cambium::cli
