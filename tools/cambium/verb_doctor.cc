// SPDX-License-Identifier: MIT OR Apache-2.0
// doctor: what this machine grants, line by line, and the remedy where it does not.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <cambium/version.h>

#include "base/log.h"
#include "base/text.h"
#include "cambium/doctor_probes.h"
#include "cambium/verbs.h"

namespace cambium::cli {
namespace {

std::string_view to_string(Level level) noexcept {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warn:
      return "warn";
    case Level::fail:
      return "fail";
  }
  return "unknown";
}

void print_finding(Session& session, const Finding& finding) {
  char head[64];
  std::snprintf(head, sizeof head, "%-5s %-14s ", to_string(finding.level).data(), finding.name.c_str());
  session.output.write(rt::str(static_cast<const char*>(head), finding.text, "\n"));
  if (!finding.fix.empty()) session.output.write(rt::str("      fix:           ", finding.fix, "\n"));
}

}  // namespace

Answer verb_doctor(Session& session) {
  // What the probes provoke is their answer; as warnings of the library it would be said twice.
  if (session.arguments.verbose == 0) rt::set_log_level(rt::LogLevel::off);
  std::vector<Finding> findings = {probe_kernel(),        probe_io_uring(),   probe_ring_features(), probe_memlock(),
                                   probe_cgroup_memory(), probe_huge_pages(), probe_governor()};
  for (Finding& finding : probe_storage(session.arguments.directory)) findings.push_back(std::move(finding));

  const auto worst = std::max_element(findings.begin(), findings.end(),
                                      [](const Finding& a, const Finding& b) { return a.level < b.level; });
  if (!session.plain()) {
    nlohmann::ordered_json lines = nlohmann::ordered_json::array();
    for (const Finding& finding : findings) {
      nlohmann::ordered_json one = {
          {"name", finding.name}, {"level", to_string(finding.level)}, {"text", finding.text}};
      if (!finding.fix.empty()) one["fix"] = finding.fix;
      lines.push_back(one);
    }
    print_object(session, {{"version", version()},
                           {"directory", session.arguments.directory},
                           {"worst", to_string(worst->level)},
                           {"findings", lines}});
  } else {
    for (const Finding& finding : findings) print_finding(session, finding);
  }
  co_return worst->level == Level::fail ? Exit::resource : Exit::ok;
}

}  // namespace cambium::cli
