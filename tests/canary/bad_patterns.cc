// SPDX-License-Identifier: MIT OR Apache-2.0
// The coroutine patterns that g++ 12.2 miscompiles without a word, and this project therefore never writes.
//
// Each runs in a process of its own, because most end in a double free. The outcome is printed and never fails the
// test: it records whether the habits in good_patterns.cc and the rules of tools/lint.py are still owed to the
// compiler at hand.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "canary/canary_task.h"

namespace canary {
namespace {

constexpr std::string_view kLong = "a text too long for the small-string buffer";
constexpr int kLongLength = static_cast<int>(kLong.size());

struct Record {
  std::string name;
  int number = 0;
};

Task<int> echo(int n) { co_return n; }

Task<int> record_length(Record record) {
  co_await hold_here();
  co_return static_cast<int>(record.name.size());
}

Task<int> record_reference_length(const Record& record) {
  co_await hold_here();
  co_return static_cast<int>(record.name.size());
}

Task<int> record_moved_length(Record&& record) {
  co_await hold_here();
  co_return static_cast<int>(record.name.size());
}

Task<int> call(std::function<int()> function) {
  co_await hold_here();
  co_return function();
}

// The body of the if is taken, yet the coroutine never reaches either co_return.
Task<int> condition_that_returns() {
  if ((co_await echo(5)) > 3) co_return 2;  // lint: allow(await-alone) the fault itself
  co_return 1;
}

Task<int> negated_condition() {
  if (!(co_await echo(0))) co_return 2;  // lint: allow(await-alone) the fault itself
  co_return 1;
}

Task<int> condition_that_breaks() {
  for (;;) {
    if ((co_await echo(5)) > 3) break;  // lint: allow(await-alone) the fault itself
  }
  co_return 1;
}

Task<int> loop_condition() {
  while ((co_await echo(5)) > 3) co_return 2;  // lint: allow(await-alone) the fault itself
  co_return 1;
}

// The temporary is copied bitwise into the frame and destroyed twice.
Task<int> aggregate_by_value() { co_return co_await record_length(Record{std::string(kLong), 1}); }
Task<int> aggregate_by_reference() { co_return co_await record_reference_length(Record{std::string(kLong), 1}); }
Task<int> aggregate_by_rvalue() { co_return co_await record_moved_length(Record{std::string(kLong), 1}); }

Task<int> capturing_lambda() {
  const std::string s(kLong);
  // lint: allow(await-lambda) the fault itself
  co_return co_await call([s] { return static_cast<int>(s.size()); });
}

constexpr Pattern kPatterns[] = {
    {"co_await in a condition whose body returns", [] { return gives(condition_that_returns(), 2); }},
    {"co_await in a negated condition", [] { return gives(negated_condition(), 2); }},
    {"co_await in a condition whose body breaks", [] { return gives(condition_that_breaks(), 1); }},
    {"co_await in a loop's condition", [] { return gives(loop_condition(), 2); }},
    {"an owning aggregate made in the call, by value", [] { return gives(aggregate_by_value(), kLongLength); }},
    {"an owning aggregate made in the call, by reference", [] { return gives(aggregate_by_reference(), kLongLength); }},
    {"an owning aggregate made in the call, by rvalue", [] { return gives(aggregate_by_rvalue(), kLongLength); }},
    {"a capturing lambda made in the call", [] { return gives(capturing_lambda(), kLongLength); }},
};

// 0: right. Anything else: the wrong value, no end, or death by a signal.
int outcome_of(const Pattern& pattern) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(10);
    close(STDERR_FILENO);  // the allocator's and the sanitizers' reports are expected
    _exit(pattern.right() ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) std::abort();
  return status;
}

}  // namespace
}  // namespace canary

int main() {
  for (const canary::Pattern& pattern : canary::kPatterns) {
    const bool right = canary::outcome_of(pattern) == 0;
    std::printf("%s: %s\n", right ? "right here" : "still miscompiled", pattern.what);
  }
  return 0;
}
