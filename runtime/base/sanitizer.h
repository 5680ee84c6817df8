// SPDX-License-Identifier: MIT OR Apache-2.0
//
// What AddressSanitizer should know about memory that we hand out ourselves.
//
// Both calls are nothing in a build without it.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define CAMBIUM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAMBIUM_ASAN 1
#endif
#endif
#ifndef CAMBIUM_ASAN
#define CAMBIUM_ASAN 0
#endif

#if CAMBIUM_ASAN
#include <sanitizer/asan_interface.h>
#endif

// For a function that looks at memory which may be out of use by now, and believes nothing of what it sees.
#define CAMBIUM_NO_ASAN __attribute__((no_sanitize("address")))

namespace cambium::rt {

/// From here on, touching these bytes is reported as a bug.
inline void asan_poison([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if CAMBIUM_ASAN
  __asan_poison_memory_region(data, bytes);
#endif
}

/// From here on, these bytes may be used.
inline void asan_unpoison([[maybe_unused]] const void* data, [[maybe_unused]] std::size_t bytes) noexcept {
#if CAMBIUM_ASAN
  __asan_unpoison_memory_region(data, bytes);
#endif
}

}  // namespace cambium::rt
