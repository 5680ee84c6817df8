// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/options.h>

#include <catch2/catch.hpp>

#include <string>

#include "base/random.h"
#include "support/seed.h"

namespace cambium {
namespace {

bool same(const Options& a, const Options& b) {
  return a.path == b.path && a.mode == b.mode && a.read_only == b.read_only && a.memory_bytes == b.memory_bytes &&
         a.write_buffer_bytes == b.write_buffer_bytes && a.cache_bytes == b.cache_bytes && a.direct_io == b.direct_io &&
         a.readahead_pages == b.readahead_pages && a.lock_wait_ms == b.lock_wait_ms &&
         a.scrub_mb_per_s == b.scrub_mb_per_s && a.wal == b.wal && a.wal_interval_ms == b.wal_interval_ms &&
         a.recovery_ms_max == b.recovery_ms_max && a.wal_bytes_max == b.wal_bytes_max;
}

TEST_CASE("options: each option that differs from its default is written, alone, and read back") {
  const auto [options, text] = GENERATE(table<Options, std::string>({
      {Options{}, ""},
      {{.path = "a/b.cambium"}, "path=a/b.cambium"},
      {{.mode = OpenMode::open}, "mode=open"},
      {{.mode = OpenMode::create}, "mode=create"},
      {{.read_only = true}, "read_only=true"},
      {{.wal = WalMode::sync}, "wal=sync"},
      {{.wal = WalMode::batched}, "wal=batched"},
      {{.wal_interval_ms = 7}, "wal_interval_ms=7"},
      {{.recovery_ms_max = 500}, "recovery_ms_max=500"},
      {{.wal_bytes_max = 256 * KiB}, "wal_bytes_max=256KiB"},
      {{.memory_bytes = 512 * MiB}, "memory=512MiB"},
      {{.memory_bytes = 1'000'001}, "memory=1000001B"},
      {{.write_buffer_bytes = 3 * MiB}, "write_buffer=3MiB"},
      {{.cache_bytes = 65 * KiB}, "cache=65KiB"},
      {{.direct_io = false}, "direct_io=false"},
      {{.readahead_pages = 0}, "readahead=0"},
      {{.lock_wait_ms = 4'294'967'295}, "lock_wait_ms=4294967295"},
      {{.scrub_mb_per_s = 20}, "scrub_mb_per_s=20"},
  }));
  CAPTURE(text);
  const std::string written = options.to_string();
  CHECK(written == text);
  CHECK(same(Options::parse(written).value(), options));
}

TEST_CASE("options: all of them at once survive the way through text") {
  const Options options{.path = "x y",
                        .mode = OpenMode::create,
                        .read_only = true,
                        .wal = WalMode::sync,
                        .wal_interval_ms = 1,
                        .recovery_ms_max = 2,
                        .memory_bytes = 7 * GiB,
                        .write_buffer_bytes = 1,
                        .cache_bytes = 3,
                        .wal_bytes_max = 4,
                        .direct_io = false,
                        .readahead_pages = 5,
                        .lock_wait_ms = 6};
  const std::string text = options.to_string();
  CHECK(same(Options::parse(text).value(), options));
}

TEST_CASE("options: a path that would not survive as it stands is quoted") {
  const auto [path, text] = GENERATE(table<std::string, std::string>({
      {"a;b", R"(path="a;b")"},
      {" a", R"(path=" a")"},
      {"a ", R"(path="a ")"},
      {" ", R"(path=" ")"},
      {R"("a")", R"(path=#""a""#)"},
      {R"(a"#b)", R"(path=##"a"#b"##)"},
      {"#a", "path=#a"},
      {"a=b", "path=a=b"},
      {"a'b c", "path=a'b c"},
  }));
  CAPTURE(path);
  const Options options{.path = path, .read_only = true};
  const std::string written = options.to_string();
  CHECK(written == text + "; read_only=true");
  CHECK(same(Options::parse(written).value(), options));
}

TEST_CASE("options: whatever the path, its text is read back, alone and among others") {
  const std::uint64_t seed = test::test_seed(31);
  INFO("replay: " << test::replay_command("test_partition", seed));
  rt::Random random(seed);
  constexpr std::string_view kLikely = ";\"# '=\\a\t";
  for (int round = 0; round < 20'000; ++round) {
    std::string path;
    for (std::uint64_t left = random.below(12) + 1; left != 0; --left) {
      const bool any = random.below(8) == 0;
      path += any ? static_cast<char>(random.below(256)) : kLikely[random.below(kLikely.size())];
    }
    Options options{.path = path};
    if (random.below(2) == 0) options.memory_bytes = 300 * MiB;
    const std::string text = options.to_string();
    CAPTURE(path, text);
    REQUIRE(same(Options::parse(text).value(), options));
    REQUIRE(same(Options::parse("readahead=7 ;" + text + " ;readahead=32").value(), options));
  }
}

TEST_CASE("options: quotes work for every option; those that are not closed, or go on, are refused") {
  CHECK(same(Options::parse(R"( memory = "1GiB" ;mode="open";path="" )").value(),
             {.mode = OpenMode::open, .memory_bytes = 1 * GiB}));
  const auto [text, says] = GENERATE(table<std::string, std::string>({
      {R"(path="a)", "path"},
      {R"(path=#"a"; mode=open)", "path"},
      {R"(path="a"b; mode=open)", "b"},
      {R"(path="a"#)", "#"},
  }));
  CAPTURE(text);
  const Result<Options> options = Options::parse(text);
  REQUIRE(options.code() == Errc::invalid_argument);
  CHECK(!options.error().hint().empty());
  CHECK(std::string(options.error().message()).find(says) != std::string::npos);
}

TEST_CASE("options: blanks and empty items do not matter, the last of two values counts, defaults may be named") {
  const Options options =
      Options::parse("  memory = 1 GiB ;; read_only=true; mode=open_or_create; memory=2GiB; direct_io=true ; ").value();
  CHECK(same(options, {.read_only = true, .memory_bytes = 2 * GiB}));
  CHECK(same(Options::parse("").value(), {}));
}

TEST_CASE("options: an unknown name is refused with the one that was meant") {
  const auto [text, hint] = GENERATE(table<std::string, std::string>({
      {"memroy=1GiB", "did you mean \"memory\"?"},
      {"readonly=true", "did you mean \"read_only\"?"},
      {"read_ahead=3", "did you mean \"readahead\"?"},
      {"zzzzzzzzzzzzzz=3", ""},
  }));
  CAPTURE(text);
  const Result<Options> options = Options::parse(text);
  REQUIRE(options.code() == Errc::invalid_argument);
  CHECK(options.error().hint() == hint);
  const std::string name = text.substr(0, text.find('='));
  CHECK(std::string(options.error().message()).find(name) != std::string::npos);
}

TEST_CASE("options: a bad value is refused, and the message names the option and the value") {
  const std::string text = GENERATE(as<std::string>(), "mode=append", "read_only=yes", "direct_io=1", "memory=lots",
                                    "memory=-1", "memory=", "write_buffer=3 apples", "cache=0x10", "readahead=-1",
                                    "readahead=3.5", "lock_wait_ms=4294967296", "lock_wait_ms=", "memory=99999999TiB");
  CAPTURE(text);
  const Result<Options> options = Options::parse(text);
  REQUIRE(options.code() == Errc::invalid_argument);
  const std::string message(options.error().message());
  CHECK(message.find(text.substr(0, text.find('='))) != std::string::npos);
  CHECK(message.find(text.substr(text.find('=') + 1)) != std::string::npos);
}

TEST_CASE("options: a name without a value is refused") {
  CHECK(Options::parse("read_only").code() == Errc::invalid_argument);
  CHECK(Options::parse("memory=1GiB; read_only").code() == Errc::invalid_argument);
}

}  // namespace
}  // namespace cambium
