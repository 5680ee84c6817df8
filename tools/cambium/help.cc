// SPDX-License-Identifier: MIT OR Apache-2.0
#include "cambium/help.h"

#include <array>

#include "base/assert.h"

namespace cambium::cli {
namespace {

struct Text {
  std::string_view verb;
  std::string_view summary;
  std::string_view examples;
  std::string_view notes;
};

constexpr std::string_view kFormats = R"(
Formats
  tsv        key<TAB>value, one record per line. Escapes: \\ \t \n \r, and \xHH for
             control characters and for bytes that are not UTF-8. With --hex or
             --base64 both fields are in that encoding, without escapes.
  jsonl      {"k":"..","v":".."} per line; "enc":"hex" or "enc":"base64" where the
             bytes are not UTF-8
  mdb        the text of mdb_dump and mdb_load (LMDB), bytes in hexadecimal
  mdb-print  the same with printable characters as they are
)";

// Below the help of every verb: whoever calls one from a script looks there.
constexpr std::string_view kExitCodes = R"(
Exit codes
  0 ok   1 not found   2 usage   3 corruption   4 busy (locked)   5 unsupported or
  foreign file   6 no space   7 io_uring or another resource   8 I/O error
  130 interrupted
)";

constexpr std::array<Text, 19> kTexts = {{
    {"", "Keys and values in one file: look, load, check, measure.",
     R"(  cambium create data.cambium
  cambium put data.cambium hello world
  cambium get data.cambium hello
  cambium scan data.cambium --prefix user/ --limit 10
  mdb_dump -s main old.mdb | cambium load data.cambium
  cambium check data.cambium && cambium stat data.cambium --json
)",
     R"(
Data goes to standard output, everything else to standard error. get, scan, dump,
stat, levels, sstable and check open the file read-only and never write to it. Exit code 0
of a verb that writes means that everything it wrote is durable.
)"},
    {"create", "Makes an empty partition.", "  cambium create data.cambium\n",
     R"(
Exit code 2 when the file is there already. With --wal the file gets a write-ahead log;
whoever opens it without one for writing recovers what it holds, and removes it.
)"},
    {"put", "Writes one key.",
     R"(  cambium put data.cambium hello world
  cambium put data.cambium logo < logo.png        # without a value: standard input
  cambium put data.cambium --hex 00ff 0102
)",
     ""},
    {"get", "Prints the value of one key.",
     R"(  cambium get data.cambium hello
  cambium get data.cambium logo --raw > logo.png
  cambium get data.cambium --hex 00ff
)",
     "\nExit code 1, and nothing on standard output, when the key is not there.\n"},
    {"del", "Removes one key.", "  cambium del data.cambium hello\n",
     "\nRemoving a key that is not there is no error; --json says whether it was (\"existed\").\n"},
    {"scan", "Prints entries in the order of their keys.",
     R"(  cambium scan data.cambium --prefix user/ --limit 10
  cambium scan data.cambium --from a --to b --reverse
  cambium scan data.cambium --keys | wc -l
)",
     "\nLines are key<TAB>value, escaped as `cambium dump --help` says; with --json, JSON lines.\n"},
    {"load", "Loads records from a file or standard input.",
     R"(  cambium load data.cambium words.tsv
  mdb_dump -s main old.mdb | cambium load data.cambium
  cambium dump old.cambium | cambium load new.cambium --sorted
)",
     kFormats},
    {"dump", "Writes all records as text.",
     R"(  cambium dump data.cambium > backup.tsv
  cambium dump data.cambium --format jsonl --prefix user/
  cambium dump data.cambium --format mdb | mdb_load copy.mdb
)",
     kFormats},
    {"batch", "Carries out a list of operations, some of them atomically.",
     R"(  cambium batch data.cambium < operations
  printf 'put a 1\nput b 2\ncommit\nget a\n' | cambium batch data.cambium
)",
     R"(
Operations, one per line; fields are separated by one blank or tab
  put KEY VALUE   the value is the rest of the line
  del KEY
  get KEY         prints KEY<TAB>VALUE, or KEY alone when it is not there; sees what
                  was committed
  table NAME      what follows is of this table, made if need be; a group may be of
                  several
  commit          the puts and dels since the last commit happen together; an empty
                  line and the end of the input do the same
  flush           commits; prints "flushed N" when all N writes so far are durable
  # comment
Fields are escaped as in tsv (a blank in a key is \x20), or encoded by --hex or --base64.
After a line that cannot be read the open group is dropped; earlier groups stay.
)"},
    {"table", "Makes, lists, drops and renames tables.",
     R"(  cambium table create data.cambium events
  cambium table create data.cambium samples --kind levels --index learned
  cambium table create data.cambium log --kind levels --compression zstd
  cambium table list data.cambium
  cambium table rename data.cambium events events-2023
  cambium table drop data.cambium events-2023
  cambium put data.cambium --table events key value
)",
     R"(
Every file has the table default, which is meant where --table is not given; it cannot be
dropped or renamed. A table of --kind levels is for random writes; --index says how its
parts find a key: plain (by branch pages), learned (by lines over the keys, where a part
is large and its keys are regular), or auto (plain, unless the cache is small beside the
file). --compression lz4 (fast) or zstd (smaller) packs several pages of entries into one
of the file; values over some 1.25 KiB stay as they are. Older versions refuse a file with
a learned index or compression, and so do builds without the library. list prints
name<TAB>kind<TAB>entries<TAB>bytes, by name. --table must name a table that is there
(exit code 1), except for load, batch and stress, which make it as they make the file.
Names are 1 to 255 bytes of UTF-8 without / or control characters. A dropped table is
gone at once; its space comes back in the background, when the file is open for writing.
)"},
    {"levels", "Looks inside tables of kind levels: levels, runs, sstables.",
     R"(  cambium levels data.cambium
  cambium levels data.cambium --table events --json
)",
     R"(
For each table: totals, then a line for each sstable, by level, the newest run first, then
by key. "filter" is in pages, "bits" are its bits per key. "trimmed": a compaction under
way has taken what lies below the first key; the counts still include it. Keys are escaped
as in tsv (see cambium dump --help), or encoded by --hex or --base64; in JSON keys that
are not UTF-8 are base64, and "enc" says so. A tree has no levels: exit code 2.
)"},
    {"sstable", "Shows one sstable: row, extents, height, filter, keys.",
     R"(  cambium sstable data.cambium --table events --id 17
  cambium sstable data.cambium --table events --id 17 --keys | sed '1,/^$/d'
)",
     R"(
After an empty line come its first and its last entry, with --keys all of them: a line
key<TAB>kind<TAB>bytes each, where the kind is value, long value or tombstone. With --json
the first line is the description; with --keys a line for each entry follows. Exit code 1
when there is no such sstable: compaction replaces them. Long values are not read.
)"},
    {"stat", "Shows what the file holds.",
     "  cambium stat data.cambium\n  cambium stat data.cambium --json\n  cambium stat data.cambium --table events\n",
     R"(
Counters are since the file was opened, by this very command: most are 0 here, and figures
that follow from them "-", or null in JSON.
)"},
    {"check", "Reads and verifies everything: pages, keys, counts, free space.", "  cambium check data.cambium\n",
     R"(
Exit code 3 when something is damaged. Damage does not stop it: every damaged place is
listed on standard output, with its page, table, keys and reason.
)"},
    {"salvage", "Copies what can still be read of a damaged partition into a new one.",
     "  cambium salvage damaged.cambium rescued.cambium\n",
     R"(
The damaged file is never written to; the new one must not be there yet. What the
tables still reach is copied. Ranges of keys below a damaged page are looked for in
leaves that no table reaches any more, the newest version of each key first; such an
entry may be older than what was lost, or may have been deleted.
Exit code 0 when nothing was lost, 3 otherwise; the lost ranges are listed.
)"},
    {"compact", "Gives free space inside the file back to the file system.", "  cambium compact data.cambium\n", ""},
    {"stress", "Writes a reproducible stream, for tests that kill or cut it.",
     R"(  cambium stress data.cambium --seed 7 --ops 100000 --ack-fd 3 3> acks
  cambium stress data.cambium --seed 7 --ops 100000 --verify --ack-file acks
)",
     R"(
When writes have become durable, a line `sequence key crc32c` is written for each of
them ("-" instead of a checksum for a removal): with --wal sync after every write, with
--wal batched when the log has --flush-every more of them, else after each flush. --verify
takes the same --seed, --keys and --ops, and checks that each key holds its last
acknowledged write or a later one of the stream. Exit code 3 when one does not.
)"},
    {"bench", "Measures load, get, multi_get and scan on this machine.",
     "  cambium bench scratch.cambium --records 1000000\n",
     "\nMakes the file, which must not be there yet, and removes it at the end.\n"},
    {"doctor", "Checks this machine: kernel, io_uring, limits, file system, sync latency.",
     "  cambium doctor /var/lib/app\n", "\nExit code 7 when a line says fail; warnings cost speed, not correctness.\n"},
}};

constexpr std::array<std::string_view, 18> kVerbs = {"create", "put",     "get",     "del",    "scan",    "load",
                                                     "dump",   "batch",   "table",   "levels", "sstable", "stat",
                                                     "check",  "salvage", "compact", "stress", "bench",   "doctor"};

const Text& text_of(std::string_view verb) noexcept {
  for (const Text& text : kTexts) {
    if (text.verb == verb) return text;
  }
  CAMBIUM_UNREACHABLE();
}

}  // namespace

std::span<const std::string_view> all_verbs() noexcept { return kVerbs; }
std::string_view verb_summary(std::string_view verb) noexcept { return text_of(verb).summary; }
std::string examples_of(std::string_view verb) { return "Examples\n" + std::string(text_of(verb).examples) + "\n"; }
std::string notes_of(std::string_view verb) { return std::string(text_of(verb).notes) + std::string(kExitCodes); }

}  // namespace cambium::cli
