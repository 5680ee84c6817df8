// SPDX-License-Identifier: MIT OR Apache-2.0
//
// Which backend a core gets: what the options say, what CAMBIUM_BACKEND says, what the kernel allows.
#include <cstdlib>
#include <string_view>
#include <utility>

#include <cambium/rt/core.h>

#include "base/log.h"
#include "base/text.h"
#include "rt/core_state.h"
#include "rt/io_backend.h"

namespace cambium {
namespace {

constexpr unsigned kQueueDepthMax = 32768;

// Only `automatic` is overridden: who names a backend means it.
Result<Backend> chosen(Backend wanted) {
  const char* const text = std::getenv("CAMBIUM_BACKEND");
  if (wanted != Backend::automatic || text == nullptr || *text == '\0') return wanted;
  const std::string_view name(text);
  for (const Backend backend : {Backend::automatic, Backend::uring, Backend::threads}) {
    if (name == to_string(backend)) return backend;
  }
  return Error(Errc::invalid_argument, rt::str("CAMBIUM_BACKEND is \"", name, "\""),
               "set it to uring, threads or automatic");
}

}  // namespace

Result<std::unique_ptr<Core>> Core::create(CoreOptions options) {
  if (options.queue_depth == 0 || options.queue_depth > kQueueDepthMax) {
    return Error(Errc::invalid_argument, rt::str("queue_depth is ", options.queue_depth),
                 rt::str("choose between 1 and ", kQueueDepthMax));
  }
  Result<Backend> backend = chosen(options.backend);
  if (!backend) return backend.error();
  if (*backend == Backend::simulated) {
    return Error(Errc::invalid_argument, "a simulated core cannot be created by itself",
                 "make it with the simulated disk");
  }
  std::string note;
  if (*backend != Backend::threads) {
    Result<std::unique_ptr<rt::IoBackend>> ring = rt::make_uring_backend(options);
    if (ring) return over(std::move(*ring), options);
    if (*backend == Backend::uring) return ring.error();
    note = rt::str("threads instead of io_uring: ", ring.error().message());
    if (!ring.error().hint().empty()) note += rt::str(" (", ring.error().hint(), ")");
    rt::log_once("backend", rt::LogLevel::warn, note);
  }
  Result<std::unique_ptr<rt::IoBackend>> threads = rt::make_threads_backend(options);
  if (!threads) return threads.error();
  std::unique_ptr<Core> core = over(std::move(*threads), options);
  core->state_->fallback_note = std::move(note);
  return core;
}

}  // namespace cambium
