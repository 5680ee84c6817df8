// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/cli.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"

namespace cambium::cli {
namespace {

// Why such an error happens at all, for the third line of the message.
std::string_view reason_of(Errc code) noexcept {
  switch (code) {
    case Errc::ok:
      break;
    case Errc::invalid_argument:
      return "the request cannot be carried out as it stands";
    case Errc::not_found:
      return "there is nothing under this name";
    case Errc::exists:
      return "what is to be made is there already";
    case Errc::busy:
      return "a partition belongs to one process at a time";
    case Errc::would_stall:
      return "the write buffers are full";
    case Errc::no_space:
      return "the device or file system is full";
    case Errc::corruption:
      return "the bytes on the device are not those that were written";
    case Errc::unsupported:
      return "this build, kernel or file format cannot do it";
    case Errc::io:
      return "the operating system or the device refused the transfer";
    case Errc::resource:
      return "memory, descriptors or ring resources were refused";
    case Errc::cancelled:
      return "it was asked to stop";
    case Errc::timeout:
      return "it took longer than allowed";
    case Errc::closed:
      return "the partition was closed meanwhile";
  }
  return "the reason is not known";
}

// What to try where the error itself does not say.
std::string_view default_hint(Errc code) noexcept {
  switch (code) {
    case Errc::busy:
      return "end the other process, or try again later";
    case Errc::no_space:
      return "free some space and repeat the command; cambium compact gives space back";
    case Errc::corruption:
      return "cambium check on a copy of the file; then restore it from a backup";
    case Errc::resource:
    case Errc::unsupported:
      return "cambium doctor";
    case Errc::io:
      return "look at the kernel's log (dmesg), then cambium check";
    default:
      return "cambium --help";
  }
}

bool colored(const Arguments& arguments) noexcept {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  const bool refused = arguments.no_color || (no_color != nullptr && *no_color != '\0');
  return !refused && !dumb && ::isatty(STDERR_FILENO) == 1;
}

// For programs: the name that the code has in <cambium/rt/result.h>. The text of to_string() is for people.
std::string_view name_of(Errc code) noexcept {
  switch (code) {
    case Errc::ok:
      return "ok";
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::not_found:
      return "not_found";
    case Errc::exists:
      return "exists";
    case Errc::busy:
      return "busy";
    case Errc::would_stall:
      return "would_stall";
    case Errc::no_space:
      return "no_space";
    case Errc::corruption:
      return "corruption";
    case Errc::unsupported:
      return "unsupported";
    case Errc::io:
      return "io";
    case Errc::resource:
      return "resource";
    case Errc::cancelled:
      return "cancelled";
    case Errc::timeout:
      return "timeout";
    case Errc::closed:
      return "closed";
  }
  return "unknown";
}

}  // namespace

Exit exit_of(Errc code) noexcept {
  switch (code) {
    case Errc::ok:
      return Exit::ok;
    case Errc::invalid_argument:
    case Errc::exists:
      return Exit::usage;
    case Errc::not_found:
      return Exit::not_found;
    case Errc::busy:
    case Errc::would_stall:
    case Errc::timeout:
      return Exit::busy;
    case Errc::no_space:
      return Exit::no_space;
    case Errc::corruption:
      return Exit::corruption;
    case Errc::unsupported:
      return Exit::unsupported;
    case Errc::resource:
      return Exit::resource;
    case Errc::cancelled:
      return Exit::interrupted;
    case Errc::io:
    case Errc::closed:
      return Exit::io;
  }
  return Exit::io;
}

void print_object(Session& session, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json object = {{"schema", kJsonSchema}, {"verb", session.arguments.verb}};
  object.update(fields);
  session.output.write(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void note(const Arguments& arguments, std::string_view text) {
  if (!arguments.quiet) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void print_error(const Arguments& arguments, const Error& error) {
  const std::string hint(error.hint().empty() ? default_hint(error.code()) : error.hint());
  if (arguments.json) {
    const nlohmann::ordered_json object = {{"schema", kJsonSchema},
                                           {"error",
                                            {{"code", name_of(error.code())},
                                             {"message", error.message()},
                                             {"hint", hint},
                                             {"verb", arguments.verb},
                                             {"file", arguments.file},
                                             {"exit", static_cast<int>(exit_of(error.code()))}}}};
    std::fprintf(stderr, "%s\n", object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
    return;
  }
  const std::string where =
      arguments.verb.empty() ? "the command line"
                             : rt::str("cambium ", arguments.verb, arguments.file.empty() ? "" : " ", arguments.file);
  const std::string text = rt::str(colored(arguments) ? "\033[31;1merror:\033[0m " : "error: ", error.message(),
                                   "\n  in:  ", where, "\n  why: ", reason_of(error.code()), "\n  try: ", hint, "\n");
  std::fputs(text.c_str(), stderr);
}

}  // namespace cambium::cli
