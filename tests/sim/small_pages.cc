// SPDX-License-Identifier: MIT OR Apache-2.0
// This suite opens hundreds of thousands of tiny partitions. A huge page for each of their mappings means that the
// kernel zeroes ten megabytes for every one of them, which is most of the time there is: so there are none here.
#include <sys/prctl.h>

namespace cambium::test {
namespace {

// Advice: where the kernel refuses, everything is right and slow.
[[maybe_unused]] const int refused = ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);

}  // namespace
}  // namespace cambium::test
