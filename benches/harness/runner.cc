// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/runner.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/environment.h"
#include "harness/fail.h"

namespace cambium::bench {

Spread spread_of(std::vector<double> values) {
  require(!values.empty(), "a spread needs values");
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

Spread paired_ratio(const std::vector<double>& ours, const std::vector<double>& theirs) {
  require(ours.size() == theirs.size(), "a ratio needs as many runs of one side as of the other");
  std::vector<double> ratios;
  for (std::size_t index = 0; index < ours.size(); ++index) {
    require(theirs[index] > 0, "a ratio needs a figure above zero on the other side");
    ratios.push_back(ours[index] / theirs[index]);
  }
  return spread_of(std::move(ratios));
}

std::vector<double> Series::rates() const {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.rate());
  return values;
}

std::vector<double> Series::cpu_us_per_operation() const {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.cpu_us_per_operation());
  return values;
}

std::vector<double> Series::extras(const std::string& name) const {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(sample.extra(name));
  return values;
}

double Series::cpu_share_min() const {
  double least = samples.empty() ? 0 : samples.front().cpu_seconds / samples.front().wall_seconds;
  for (const Sample& sample : samples) least = std::min(least, sample.cpu_seconds / sample.wall_seconds);
  return least;
}

// One JSON object per line, each complete in itself: a file can be cut, joined and grepped.
class Report::JsonLines {
 public:
  JsonLines(const std::string& bench, const std::string& path) : bench_(bench) {
    if (path.empty()) return;
    file_.open(path, std::ios::app);
    if (!file_) fail("cannot write " + path);
  }
  void write(const char* type, nlohmann::json fields) {
    if (!file_.is_open()) return;
    fields["schema"] = 1;
    fields["bench"] = bench_;
    fields["type"] = type;
    file_ << fields.dump() << std::endl;  // flushed: a run that is killed keeps its finished lines
  }

 private:
  std::string bench_;
  std::ofstream file_;
};

Report::Report(std::string bench, const std::string& dir,
               const std::vector<std::pair<std::string, std::string>>& parameters, const std::string& json_path)
    : bench_(std::move(bench)), json_(std::make_unique<JsonLines>(bench_, json_path)) {
  std::printf("%s\n", bench_.c_str());
  nlohmann::json line;
  for (const auto& [name, text] : describe_environment(dir)) {
    std::printf("  %-12s %s\n", name.c_str(), text.c_str());
    line["environment"][name] = text;
  }
  for (const auto& [name, text] : parameters) {
    std::printf("  --%-10s %s\n", name.c_str(), text.c_str());
    line["parameters"][name] = text;
  }
  if (const std::string reason = unfit_build(); !reason.empty()) {
    std::printf("  NOT A MEASUREMENT: %s; figures below are for checking the program only\n", reason.c_str());
    line["unfit"] = reason;
  }
  json_->write("environment", std::move(line));
}

Report::~Report() = default;

std::vector<std::vector<Series>> Report::alternate(const std::vector<Case>& cases, unsigned repetitions,
                                                   const BeforeRepetition& before) {
  std::vector<std::vector<Series>> all(cases.size());
  for (std::size_t index = 0; index < cases.size(); ++index) {
    for (const Side& side : cases[index].sides) {
      all[index].push_back({.engine = side.engine, .operation = side.operation, .samples = {}});
    }
    print_sides(cases[index]);
  }
  for (unsigned repetition = 0; repetition < repetitions; ++repetition) {
    if (before) before(repetition);
    for (std::size_t index = 0; index < cases.size(); ++index) {
      for (std::size_t side = 0; side < all[index].size(); ++side) {
        all[index][side].samples.push_back(cases[index].sides[side].run(repetition));
        print_sample(cases[index].title, all[index][side], repetition);
      }
    }
  }
  for (std::size_t index = 0; index < cases.size(); ++index) print_summary(cases[index].title, all[index]);
  return all;
}

void Report::print_sides(const Case& work) {
  std::printf("\n%s\n", work.title.c_str());
  for (const Side& side : work.sides) {
    const std::string line = side.engine + ": " + side.settings;
    if (printed_settings_.insert(line).second) std::printf("  %s\n", line.c_str());
    json_->write("side", {{"case", work.title}, {"engine", side.engine}, {"settings", side.settings}});
  }
}

void Report::print_sample(const std::string& title, const Series& series, unsigned repetition) {
  const Sample& sample = series.samples.back();
  std::printf("  run %u  %s  %-18s %11.0f %s/s  %8.3f CPU us/%s", repetition + 1, title.c_str(), series.engine.c_str(),
              sample.rate(), series.operation.c_str(), sample.cpu_us_per_operation(), series.operation.c_str());
  nlohmann::json extras = nlohmann::json::object();
  for (const auto& [name, value] : sample.extras) {
    std::printf("  %s %.4g", name.c_str(), value);
    extras[name] = value;
  }
  std::printf("\n");
  std::fflush(stdout);
  json_->write("run", {{"case", title},
                       {"engine", series.engine},
                       {"repetition", repetition},
                       {"operation", series.operation},
                       {"operations", sample.operation_count},
                       {"wall_seconds", sample.wall_seconds},
                       {"cpu_seconds", sample.cpu_seconds},
                       {"extras", std::move(extras)}});
}

void Report::print_summary(const std::string& title, const std::vector<Series>& sides) const {
  std::printf("\n%s: median (least .. most)\n", title.c_str());
  for (const Series& series : sides) {
    const Spread rate = spread_of(series.rates());
    const Spread cpu = spread_of(series.cpu_us_per_operation());
    std::printf("  %-22s %12.0f %s/s  (%.0f .. %.0f)   %.3f CPU us/%s  (%.3f .. %.3f)\n", series.engine.c_str(),
                rate.median, series.operation.c_str(), rate.min, rate.max, cpu.median, series.operation.c_str(),
                cpu.min, cpu.max);
    for (const auto& [name, unused] : series.samples.front().extras) {
      const Spread extra = spread_of(series.extras(name));
      std::printf("  %-22s   %s %.4g  (%.4g .. %.4g)\n", "", name.c_str(), extra.median, extra.min, extra.max);
    }
  }
}

void Report::verdict(const Question& question, const std::vector<double>& ours, const std::vector<double>& theirs) {
  std::string refusal = unfit_build();
  if (refusal.empty() && ours.size() < kRepetitionsMin) {
    refusal = "a verdict needs " + std::to_string(kRepetitionsMin) + " repetitions";
  }
  if (!refusal.empty()) {
    std::printf("  NO VERDICT (%s): %s\n", refusal.c_str(), question.title.c_str());
    json_->write("no_verdict", {{"title", question.title}, {"reason", refusal}});
    return;
  }
  // Always formed so that more than 1 is in our favour.
  const Spread ratio = question.less_is_better ? paired_ratio(theirs, ours) : paired_ratio(ours, theirs);
  const char* standing = ratio.min > 1 ? "ahead in every pair" : ratio.max < 1 ? "BEHIND in every pair" : "undecided";
  std::printf("  VERDICT  %s: %s against %s %.3f x, pairs %.3f .. %.3f, n=%zu: %s", question.title.c_str(),
              question.ours.c_str(), question.theirs.c_str(), ratio.median, ratio.min, ratio.max, ours.size(),
              standing);
  if (question.goal > 0) {
    const bool met = ratio.median >= question.goal;
    std::printf("; goal %.2f x %s", question.goal, met ? "met" : "MISSED");
    goal_missed_ = goal_missed_ || !met;
  }
  std::printf("\n");
  std::fflush(stdout);
  json_->write("verdict", {{"title", question.title},
                           {"ours", question.ours},
                           {"theirs", question.theirs},
                           {"ratio_median", ratio.median},
                           {"ratio_min", ratio.min},
                           {"ratio_max", ratio.max},
                           {"pairs", ours.size()},
                           {"goal", question.goal},
                           {"standing", standing}});
}

void Report::warn_if_starved(const std::vector<Series>& sides) {
  constexpr double kQuietShare = 0.95;
  for (const Series& series : sides) {
    if (series.cpu_share_min() >= kQuietShare) continue;
    char text[160];
    std::snprintf(text, sizeof text, "%s had only %.0f %% of a core in one run: repeat on a quiet machine",
                  series.engine.c_str(), 100 * series.cpu_share_min());
    note(text);
  }
}

void Report::note(const std::string& text) {
  std::printf("  note     %s\n", text.c_str());
  std::fflush(stdout);
  json_->write("note", {{"text", text}});
}

}  // namespace cambium::bench
