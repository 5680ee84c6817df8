// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/cli.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "base/text.h"

namespace cambium::cli {
namespace {

// What the command line says about each code, where the error itself does not.
struct Reaction {
  Errc code;
  Exit exit;
  std::string_view reason;  // why such an error happens at all, for the third line of the message
  std::string_view hint;    // what to try, where the error itself does not say
};
constexpr std::string_view kHelp = "cambium --help";
constexpr Reaction kReactions[] = {
    {Errc::ok, Exit::ok, "nothing failed", kHelp},
    {Errc::invalid_argument, Exit::usage, "the request cannot be carried out as it stands", kHelp},
    {Errc::not_found, Exit::not_found, "there is nothing under this name", kHelp},
    {Errc::exists, Exit::usage, "what is to be made is there already", kHelp},
    {Errc::busy, Exit::busy, "a partition belongs to one process at a time",
     "end the other process, or try again later"},
    {Errc::would_stall, Exit::busy, "the write buffers are full", kHelp},
    {Errc::no_space, Exit::no_space, "the device or file system is full",
     "free some space and repeat the command; cambium compact gives space back"},
    {Errc::corruption, Exit::corruption, "the bytes on the device are not those that were written",
     "cambium check on a copy of the file; then restore it from a backup"},
    {Errc::unsupported, Exit::unsupported, "this build, kernel or file format cannot do it", "cambium doctor"},
    {Errc::io, Exit::io, "the operating system or the device refused the transfer",
     "look at the kernel's log (dmesg), then cambium check"},
    {Errc::resource, Exit::resource, "memory, descriptors or ring resources were refused", "cambium doctor"},
    {Errc::cancelled, Exit::interrupted, "it was asked to stop", kHelp},
    {Errc::timeout, Exit::busy, "it took longer than allowed", kHelp},
    {Errc::closed, Exit::io, "the partition was closed meanwhile", kHelp},
};

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(kReactions); ++i) {
    if (kReactions[i].code != Errc{static_cast<std::uint8_t>(i)}) return false;
  }
  return std::size(kReactions) == kErrcCount;
}
static_assert(in_order());

const Reaction& reaction_to(Errc code) noexcept { return kReactions[static_cast<std::size_t>(code)]; }

bool colored(const Arguments& arguments) noexcept {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  const bool refused = arguments.no_color || (no_color != nullptr && *no_color != '\0');
  return !refused && !dumb && ::isatty(STDERR_FILENO) == 1;
}

}  // namespace

Exit exit_of(Errc code) noexcept { return reaction_to(code).exit; }

void print_object(Session& session, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json object = {{"schema", kJsonSchema}, {"verb", session.arguments.verb}};
  object.update(fields);
  session.output.write(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void note(const Arguments& arguments, std::string_view text) {
  if (!arguments.quiet) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void print_error(const Arguments& arguments, const Error& error) {
  const std::string hint(error.hint().empty() ? reaction_to(error.code()).hint : error.hint());
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
  const std::string text =
      rt::str(colored(arguments) ? "\033[31;1merror:\033[0m " : "error: ", error.message(), "\n  in:  ", where,
              "\n  why: ", reaction_to(error.code()).reason, "\n  try: ", hint, "\n");
  std::fputs(text.c_str(), stderr);
}

}  // namespace cambium::cli
