// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/assert.h"

#include <catch2/catch.hpp>
#include <string>

#include "runtime/base/death.h"

using cambium::rt::testing::run_in_child;

TEST_CASE("assert: a condition that holds does nothing, and is evaluated once") {
  int calls = 0;
  CAMBIUM_ASSERT(++calls == 1);
  CAMBIUM_ASSERT_MSG(++calls == 2, "counted");
  REQUIRE(calls == 2);
}

TEST_CASE("assert: a failure names expression, file and line, and aborts") {
  const auto death = run_in_child([] {
    const int page_count = 3;
    CAMBIUM_ASSERT(page_count == 4);
  });
  CHECK(death.by_abort);
  CHECK(death.output.find("page_count == 4") != std::string::npos);
  CHECK(death.output.find("assert_test.cc:") != std::string::npos);
}

TEST_CASE("assert: a message is printed beside the expression") {
  const auto death = run_in_child([] { CAMBIUM_ASSERT_MSG(1 + 1 == 3, "arithmetic holds"); });
  CHECK(death.by_abort);
  CHECK(death.output.find("1 + 1 == 3 (arithmetic holds)") != std::string::npos);
}

TEST_CASE("assert: what cannot be reached aborts when it is") {
  const auto death = run_in_child([] { CAMBIUM_UNREACHABLE(); });
  CHECK(death.by_abort);
  CHECK(death.output.find("unreachable") != std::string::npos);
}

TEST_CASE("assert: a text longer than the buffer is cut, not overrun") {
  const auto death = run_in_child([] {
    const std::string text(5000, 'x');
    cambium::rt::assert_failed("e", "f", 1, text.c_str());
  });
  CHECK(death.by_abort);
  CHECK(death.output.size() < 2000);
  CHECK(death.output.find("xxxx") != std::string::npos);
}

TEST_CASE("assert: the verify form is evaluated in verify builds only") {
  int calls = 0;
  CAMBIUM_VERIFY_ASSERT(++calls == 1);
#if defined(CAMBIUM_VERIFY) && CAMBIUM_VERIFY == 1
  CHECK(calls == 1);
  CHECK(run_in_child([] { CAMBIUM_VERIFY_ASSERT(false); }).by_abort);
#else
  CHECK(calls == 0);
  CHECK_FALSE(run_in_child([] { CAMBIUM_VERIFY_ASSERT(false); }).at_all);
#endif
}
