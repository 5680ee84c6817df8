// SPDX-License-Identifier: MIT OR Apache-2.0
// A child process that is killed with SIGKILL once it has said that it is ready: nothing of it runs afterwards, no
// destructor and no signal handler. What it wrote and did not sync stays in the page cache: this is a crash of the
// program, not of the machine.
//
// The child is this program again, with other arguments, so that no thread of the parent is copied into it.
//
// Errors     a child that ends by itself, or says anything else, ends the program.
#pragma once

#include <string>
#include <vector>

namespace cambium::bench {

// Starts this program with `arguments`, waits until it calls await_kill(), kills it, and waits until it is gone.
void run_and_kill(const std::vector<std::string>& arguments);

// In the child: says that it is ready, and does nothing until it is killed.
[[noreturn]] void await_kill();

}  // namespace cambium::bench
