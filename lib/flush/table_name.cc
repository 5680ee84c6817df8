// SPDX-License-Identifier: MIT OR Apache-2.0
#include "flush/table_name.h"

#include <cambium/limits.h>

#include "base/text.h"
#include "base/utf8.h"

namespace cambium {

Status check_table_name(std::string_view name) {
  constexpr const char* kHint = "names have 1 to 255 bytes of printable UTF-8, without /";
  if (name.empty() || name.size() > kTableNameBytesMax) {
    return Error(Errc::invalid_argument, rt::str("a table name of ", name.size(), " bytes"), kHint);
  }
  for (std::string_view rest = name; !rest.empty();) {
    const std::size_t length = rt::utf8_length(rest);
    const bool printable = length != 0 && !rt::is_control(rest.substr(0, length)) && rest[0] != '/';
    if (!printable) {
      const char* const what = length == 0 ? "is not UTF-8" : rest[0] == '/' ? "is a /" : "is a control character";
      return Error(Errc::invalid_argument, rt::str("byte ", name.size() - rest.size(), " of a table name ", what),
                   kHint);
    }
    rest.remove_prefix(length);
  }
  return {};
}

}  // namespace cambium
