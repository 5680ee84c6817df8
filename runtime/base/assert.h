// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Assertions: what must hold, or the program is wrong.
//
// Damaged files, full disks and bad arguments are values (Status), never assertions. Assertions stay in
// release builds, so each costs one predictable branch; the failure path is cold and out of line.
//
//   CAMBIUM_ASSERT(cond)            always on
//   CAMBIUM_ASSERT_MSG(cond, text)  the same, with one sentence that says what it means
//   CAMBIUM_VERIFY_ASSERT(cond)     for costly checks: compiled in only where CAMBIUM_VERIFY is 1
//   CAMBIUM_UNREACHABLE()           control cannot get here
//
// Errors     a failure prints expression, file and line to stderr, and aborts. Nothing is unwound.
#pragma once

namespace cambium::rt {

/// Prints "file:line: assertion failed: expression (text)" to stderr and aborts. `text` may be null.
/// Allocates nothing and takes no lock, so it is safe anywhere, also in a signal handler.
[[noreturn, gnu::cold, gnu::noinline]] void assert_failed(const char* expression, const char* file, int line,
                                                          const char* text) noexcept;

}  // namespace cambium::rt

#define CAMBIUM_ASSERT_MSG(cond, text)                                 \
  (__builtin_expect(static_cast<bool>(cond), 1) ? static_cast<void>(0) \
                                                : ::cambium::rt::assert_failed(#cond, __FILE__, __LINE__, text))

#define CAMBIUM_ASSERT(cond)                                           \
  (__builtin_expect(static_cast<bool>(cond), 1) ? static_cast<void>(0) \
                                                : ::cambium::rt::assert_failed(#cond, __FILE__, __LINE__, nullptr))

#if defined(CAMBIUM_VERIFY) && CAMBIUM_VERIFY == 1
#define CAMBIUM_VERIFY_ASSERT(cond) CAMBIUM_ASSERT(cond)
#else
// Unevaluated, yet still compiled: a check that is off must not rot, nor leave its operands "unused".
#define CAMBIUM_VERIFY_ASSERT(cond) static_cast<void>(sizeof(static_cast<bool>(cond)))
#endif

#define CAMBIUM_UNREACHABLE() ::cambium::rt::assert_failed("unreachable", __FILE__, __LINE__, nullptr)
