// SPDX-License-Identifier: MIT OR Apache-2.0
// stress: writes a seeded stream and acknowledges what is durable; after a kill, checks that all of it is there.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include <cambium/partition.h>

#include "base/crc32c.h"
#include "base/text.h"
#include "cambium/input.h"
#include "cambium/interrupt.h"
#include "cambium/progress.h"
#include "cambium/stress_stream.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

using rt::str;

Status usable(const Arguments& arguments) {
  if (arguments.ack_fd >= 0 && ::fcntl(arguments.ack_fd, F_GETFD) < 0) {
    return Error(Errc::invalid_argument, str("descriptor ", arguments.ack_fd, " is not open"),
                 str("--ack-fd ", arguments.ack_fd, " ", arguments.ack_fd, "> acks"));
  }
  return {};
}

std::string ack_line(std::uint64_t sequence, const StressWrite& write, const std::string& value) {
  std::string crc = "-";
  if (!write.remove) {
    char digits[16];
    std::snprintf(digits, sizeof digits, "%08" PRIx32, rt::crc32c(value.data(), value.size()));
    crc = digits;
  }
  return str(sequence, " ", write.key, " ", crc, "\n");
}

Task<Status> write_one(Partition& db, const Table& table, const StressStream& stream, std::uint64_t sequence,
                       std::string& acks) {
  const StressWrite write = stream.at(sequence);
  std::string value;
  if (write.remove) {
    co_await check(db.del(table, write.key));
  } else {
    value = stream.value_at(sequence);
    co_await check(db.put(table, write.key, value));
  }
  acks += ack_line(sequence, write, value);
  co_return Status();
}

// ---------------------------------------------------------------------------------------------------------- verify

struct Acked {
  std::uint64_t sequence = 0;
  std::string crc;
};
using AckedByKey = std::map<std::string, Acked>;

// A last line without a newline was cut off by the kill: it acknowledges nothing.
bool take_ack(std::string_view line, AckedByKey& acked) {
  unsigned long long sequence = 0;
  char key[64] = "";
  char crc[16] = "";
  const std::string text(line);
  if (std::sscanf(text.c_str(), "%llu %63s %15s", &sequence, key, crc) != 3) return false;
  Acked& last = acked[key];
  if (sequence >= last.sequence) last = {sequence, crc};
  return true;
}

Task<Status> read_acks(Session& session, AckedByKey& acked) {
  const std::unique_ptr<Input> input = co_await check(Input::open(session.arguments.ack_file));
  std::string_view line;
  for (;;) {
    const bool more = co_await check(input->fill(session.core));
    while (input->unread().find('\n') != std::string_view::npos && input->next_line(line)) {
      if (!take_ack(line, acked)) {
        co_return Error(Errc::invalid_argument,
                        str("line ", input->lines(), " of ", input->name(), " is ", in_quotes(line)),
                        "lines are `sequence key crc32c`");
      }
    }
    if (!more) break;
  }
  co_return Status();
}

// The last removal of each acknowledged key in the stream: it may explain that the key is not there.
AckedByKey last_removals(const StressStream& stream, std::uint64_t ops, const AckedByKey& acked) {
  AckedByKey removals;
  for (std::uint64_t sequence = 1; sequence <= ops; ++sequence) {
    StressWrite write = stream.at(sequence);
    if (write.remove && acked.contains(write.key)) removals[std::move(write.key)].sequence = sequence;
  }
  return removals;
}

// What is wrong with the state of one key; empty when nothing is.
std::string fault_of(const StressStream& stream, std::uint64_t ops, const std::string& key, const Acked& acked,
                     const Value& value, std::uint64_t removed_last) {
  if (!value) {
    return removed_last >= acked.sequence && removed_last != 0
               ? std::string()
               : str(key, ": acknowledged at ", acked.sequence, ", but it is not there");
  }
  const std::optional<std::uint64_t> sequence = stream.sequence_of(value.view());
  if (!sequence) return str(key, ": holds a value that is none of this seed: ", in_quotes(value.view()));
  if (*sequence < acked.sequence) {
    return str(key, ": acknowledged at ", acked.sequence, ", but it holds the older write ", *sequence);
  }
  const StressWrite write = stream.at(*sequence);
  if (*sequence > ops || write.remove || write.key != key) {
    return str(key, ": holds write ", *sequence, ", which is not a put of this key");
  }
  const std::string expected = stream.value_at(*sequence);
  if (expected != value.view()) return str(key, ": the value of write ", *sequence, " is damaged");
  if (*sequence == acked.sequence &&
      ack_line(*sequence, write, expected) != str(*sequence, " ", key, " ", acked.crc, "\n")) {
    return str(key, ": acknowledged with another checksum at ", *sequence, "; was it the same seed?");
  }
  return {};
}

}  // namespace

Answer verb_stress(Session& session) {
  const Arguments& arguments = session.arguments;
  co_await check(usable(arguments));
  const StressStream stream(arguments.seed, arguments.keys);
  Progress progress("stress", 0, !arguments.quiet);
  Output ack(arguments.ack_fd);
  std::string pending;
  const WalMode mode = session.db->options().wal;
  std::uint64_t written = 0;
  std::uint64_t bytes = 0;
  while (written < arguments.ops && !interrupted()) {
    ++written;
    co_await check(write_one(*session.db, *session.table, stream, written, pending));
    // With a log of mode sync the write is durable now; otherwise so many share the wait for it.
    const bool wait = mode != WalMode::sync;
    if (wait && written % arguments.flush_every != 0 && written != arguments.ops) continue;
    if (mode == WalMode::none) {
      co_await check(session.db->flush());
    } else if (wait) {
      co_await check(session.db->durable(session.db->last_sequence()));
    }
    bytes += pending.size();
    // Only now: these lines promise that the writes survive.
    if (arguments.ack_fd >= 0 && !(ack.write(pending) && ack.flush())) break;
    pending.clear();
    progress.update(bytes, written);
  }
  co_await check(ack.status());
  co_await check(session.db->flush());
  const double seconds = progress.seconds();
  if (session.plain()) {
    note(arguments, str(written, " writes of seed ", arguments.seed, " in ", format_seconds(seconds), "; all durable"));
  } else {
    print_object(session, {{"seed", arguments.seed}, {"writes", written}, {"seconds", seconds}, {"durable", true}});
  }
  co_return interrupted() ? Exit::interrupted : Exit::ok;
}

Answer verb_stress_verify(Session& session) {
  const Arguments& arguments = session.arguments;
  co_await check(usable(arguments));
  constexpr std::uint64_t kFaultsShown = 20;
  AckedByKey acked;
  co_await check(read_acks(session, acked));
  const StressStream stream(arguments.seed, arguments.keys);
  const AckedByKey removals = last_removals(stream, arguments.ops, acked);
  std::uint64_t faults = 0;
  std::uint64_t last = 0;
  for (const auto& [key, ack] : acked) {
    last = std::max(last, ack.sequence);
    const Value value = co_await check(session.db->get(*session.table, key));
    const auto removed = removals.find(key);
    const std::string fault =
        fault_of(stream, arguments.ops, key, ack, value, removed == removals.end() ? 0 : removed->second.sequence);
    if (fault.empty()) continue;
    if (++faults <= kFaultsShown) note(arguments, fault);
  }
  if (!session.plain()) {
    print_object(session, {{"seed", arguments.seed}, {"keys", acked.size()}, {"last_acked", last}, {"faults", faults}});
  }
  if (faults != 0) {
    co_return Error(Errc::corruption, str(faults, " of ", acked.size(), " acknowledged keys are wrong"),
                    "were --seed, --keys and --ops those of the run?");
  }
  if (session.plain())
    session.output.write(str(acked.size(), " acknowledged keys are right, up to write ", last, "\n"));
  co_return Exit::ok;
}

}  // namespace cambium::cli
