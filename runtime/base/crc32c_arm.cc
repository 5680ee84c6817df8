// SPDX-License-Identifier: MIT OR Apache-2.0
//
// CRC-32C on aarch64, by the instructions of the CRC extension (all server processors have it, since
// ARMv8.1 it is mandatory). Empty on other processors.
#include "base/crc32c_impl.h"

#if defined(__aarch64__)

#include <arm_acle.h>
#include <sys/auxv.h>

#include "base/endian.h"

namespace cambium::rt::crc32c_detail {

namespace {
constexpr unsigned long kHwcapCrc32 = 1ul << 7;  // HWCAP_CRC32 of the kernel's <asm/hwcap.h>
}  // namespace

bool has_armv8() noexcept { return (::getauxval(AT_HWCAP) & kHwcapCrc32) != 0; }

__attribute__((target("+crc"))) std::uint32_t extend_armv8(std::uint32_t state, const unsigned char* at,
                                                           std::size_t bytes) noexcept {
  for (; bytes >= 8; bytes -= 8, at += 8) state = __crc32cd(state, load_le64(at));
  if ((bytes & 4) != 0) {
    state = __crc32cw(state, load_le32(at));
    at += 4;
  }
  if ((bytes & 2) != 0) {
    state = __crc32ch(state, load_le16(at));
    at += 2;
  }
  if ((bytes & 1) != 0) state = __crc32cb(state, *at);
  return state;
}

}  // namespace cambium::rt::crc32c_detail

#endif  // __aarch64__
