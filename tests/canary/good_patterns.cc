// SPDX-License-Identifier: MIT OR Apache-2.0
// The coroutine patterns this project is written in: each must be right on the compiler at hand.
// What they replace stands in bad_patterns.cc.
#include <cstdio>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "canary/canary_task.h"

namespace canary {
namespace {

constexpr std::string_view kLong = "a text too long for the small-string buffer";

// A class that owns memory and has a constructor: not an aggregate, so its copies into frames are right.
class Owner {
 public:
  explicit Owner(int n) : number_(std::make_unique<int>(n)) {}
  int number() const { return *number_; }

 private:
  std::unique_ptr<int> number_;
};

struct Limits {  // an option struct that owns nothing
  std::string_view name;
  int count = 0;
};

struct Record {  // an aggregate that owns memory: passed by reference only
  std::string name;
};

Task<int> echo(int n) {
  co_await hold_here();
  co_return n;
}

Task<int> length(std::string_view text) {
  co_await hold_here();
  co_return static_cast<int>(text.size());
}

Task<int> sum(std::span<const int> numbers) {
  co_await hold_here();
  int total = 0;
  for (const int n : numbers) total += n;
  co_return total;
}

Task<int> name_length(Limits limits) {
  co_await hold_here();
  co_return static_cast<int>(limits.name.size()) + limits.count;
}

Task<int> number_of(Owner owner) {
  co_await hold_here();
  co_return owner.number();
}

Task<int> record_length(const Record& record) {
  co_await hold_here();
  co_return static_cast<int>(record.name.size());
}

Task<int> call(const std::function<int()>& function) {
  co_await hold_here();
  co_return function();
}

Task<std::string> text() {
  co_await hold_here();
  co_return std::string(kLong);
}

Task<int> condition_by_name() {
  const int n = co_await echo(5);
  if (n > 3) co_return 2;
  co_return 1;
}

Task<int> loop_by_name() {
  int rounds = 0;
  for (;;) {
    const int n = co_await echo(rounds);
    if (n == 3) break;
    if (n == 1) {
      rounds += 2;
      continue;
    }
    ++rounds;
  }
  co_return rounds;
}

Task<int> await_as_body_of_if() {
  int n = 1;
  if (n == 1) n = co_await echo(7);
  co_return n;
}

Task<int> discarded_value() {
  co_await echo(1);
  (void)co_await echo(2);
  co_return 3;
}

Task<int> forwarded() { co_return co_await echo(4); }

Task<int> named_string() {
  const std::string s = co_await text();
  co_return co_await length(s);
}

Task<int> span_of_local() {
  const std::vector<int> numbers = {1, 2, 3};
  co_return co_await sum(numbers);
}

Task<int> view_struct() { co_return co_await name_length({.name = "abc", .count = 2}); }

Task<int> class_by_value() { co_return co_await number_of(Owner(6)); }

Task<int> class_moved_in() {
  Owner owner(6);
  co_return co_await number_of(std::move(owner));
}

Task<int> aggregate_by_reference() {
  const Record record{std::string(kLong)};
  co_return co_await record_length(record);
}

Task<int> named_callable() {
  const std::string s(kLong);
  const std::function<int()> function = [s] { return static_cast<int>(s.size()); };
  co_return co_await call(function);
}

Task<int> named_task() {
  Task<int> task = echo(9);
  const int n = co_await std::move(task);
  co_return n;
}

constexpr int kLongLength = static_cast<int>(kLong.size());

constexpr Pattern kPatterns[] = {
    {"a condition on a named result", [] { return gives(condition_by_name(), 2); }},
    {"a loop that leaves on a named result", [] { return gives(loop_by_name(), 3); }},
    {"an await as the body of an if", [] { return gives(await_as_body_of_if(), 7); }},
    {"an await whose value is dropped", [] { return gives(discarded_value(), 3); }},
    {"co_return co_await", [] { return gives(forwarded(), 4); }},
    {"a view of a named string", [] { return gives(named_string(), kLongLength); }},
    {"a span of a named vector", [] { return gives(span_of_local(), 6); }},
    {"an option struct that owns nothing", [] { return gives(view_struct(), 5); }},
    {"an owning class made in the call", [] { return gives(class_by_value(), 6); }},
    {"an owning class moved in", [] { return gives(class_moved_in(), 6); }},
    {"an owning aggregate by reference to a local", [] { return gives(aggregate_by_reference(), kLongLength); }},
    {"a named callable by reference", [] { return gives(named_callable(), kLongLength); }},
    {"a named task", [] { return gives(named_task(), 9); }},
};

}  // namespace
}  // namespace canary

int main() {
  int wrong = 0;
  for (const canary::Pattern& pattern : canary::kPatterns) {
    const bool right = pattern.right();
    std::printf("%s: %s\n", right ? "right" : "WRONG", pattern.what);
    if (!right) ++wrong;
  }
  return wrong == 0 ? 0 : 1;
}
