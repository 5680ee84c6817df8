// SPDX-License-Identifier: MIT OR Apache-2.0
#include <cambium/rt/block_device.h>

#include <cerrno>

#include "base/text.h"
#include "rt/posix_file.h"

namespace cambium {
namespace {

std::string describe(const rt::IoRequest& io) {
  switch (io.kind) {
    case rt::IoKind::read:
      return rt::str("read of ", io.bytes, " bytes at offset ", io.offset);
    case rt::IoKind::write:
      return rt::str("write of ", io.bytes, " bytes at offset ", io.offset);
    case rt::IoKind::sync:
      return "sync";
    case rt::IoKind::resize:
      return rt::str("resize to ", io.offset, " bytes");
    case rt::IoKind::punch:
      return rt::str("punch of ", io.bytes_long, " bytes at offset ", io.offset);
  }
  return "request";
}

Errc code_of(int error) noexcept {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::no_space;
    case ECANCELED:
      return Errc::cancelled;
    case ENOMEM:
      return Errc::resource;
    case EOPNOTSUPP:
      return Errc::unsupported;
    default:
      return Errc::io;
  }
}

std::string_view hint_of(int error) noexcept {
  switch (error) {
    case ENOSPC:
      return "free space on the device, then retry";
    case EDQUOT:
      return "raise the disk quota, or free space";
    case EFBIG:
      return "raise ulimit -f, or use a file system without this limit";
    case EINVAL:
      return "direct I/O needs aligned memory, offset and length";
    case ENOMEM:
      return "raise ulimit -l, or free memory";
    default:
      return {};
  }
}

}  // namespace

Status BlockDevice::status_of(const DeviceRequest& request) const {
  if (request.error == 0) return {};
  const int error = -request.error;
  std::string text = rt::str(describe(request.io), " of ", name(), " failed: ");
  if (request.ended) {
    text += rt::str("unexpected end after ", request.moved, " bytes");
    return Error(Errc::io, std::move(text),
                 "the file is shorter than it should be: was it cut off while it was copied?");
  }
  text += rt::errno_text(error);
  return Error(code_of(error), std::move(text), std::string(hint_of(error)));
}

}  // namespace cambium
