// SPDX-License-Identifier: MIT OR Apache-2.0
// How a forked child ends: at once, without what its parent registered for its own end. In a coverage build the
// child's counters are kept, or what only children do (forbidden system calls, dying) would seem untested.
#pragma once

#include <unistd.h>

extern "C" int __llvm_profile_write_file() __attribute__((weak));  // there in a coverage build, null elsewhere

namespace cambium::test {

[[noreturn]] inline void exit_child(int status) {
  if (__llvm_profile_write_file != nullptr) static_cast<void>(__llvm_profile_write_file());
  ::_exit(status);
}

}  // namespace cambium::test
