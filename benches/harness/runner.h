// SPDX-License-Identifier: MIT OR Apache-2.0
// Alternated runs and what may be concluded from them.
//
// One repetition runs every side once, one after the other (A B A B ...), so that drift of the machine
// falls on all alike; ratios are formed within a repetition, and their median is the verdict. Figures
// stand alone only as medians with their spread.
//
// Invariants
//   1. A verdict needs five repetitions or more, and a build that unfit_build() has nothing against.
//   2. A lead is claimed only when every pair shows it; pairs on both sides of 1 are "undecided".
//   3. Losses are printed in the same words and the same place as wins.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/measure.h"

namespace cambium::bench {

inline constexpr unsigned kRepetitionsMin = 5;

struct Side {
  std::string engine;
  std::string settings;
  std::string operation;  // what it counts: "get"
  std::function<Sample(unsigned repetition)> run;
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
Spread spread_of(std::vector<double> values);  // requires: not empty

// ours[i] / theirs[i] for each repetition.
Spread paired_ratio(const std::vector<double>& ours, const std::vector<double>& theirs);

// What is compared: the same work done by several sides.
struct Case {
  std::string title;
  std::vector<Side> sides;
};

// The samples of one side, in the order of the repetitions.
struct Series {
  std::string engine;
  std::string operation;
  std::vector<Sample> samples;

  std::vector<double> rates() const;
  std::vector<double> cpu_us_per_operation() const;
  std::vector<double> extras(const std::string& name) const;
  double cpu_share_min() const;  // of one core, in the run that got least
};

class Report {
 public:
  // Prints the environment and the parameters; `json_path` may be empty. Lines are appended to the file.
  Report(std::string bench, const std::string& dir, const std::vector<std::pair<std::string, std::string>>& parameters,
         const std::string& json_path);
  ~Report();
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  using BeforeRepetition = std::function<void(unsigned repetition)>;

  // Runs every side of every case once per repetition, alternated; result[case][side]. `before` may be empty.
  std::vector<std::vector<Series>> alternate(const std::vector<Case>& cases, unsigned repetitions,
                                             const BeforeRepetition& before = {});
  std::vector<Series> alternate(const Case& only, unsigned repetitions) {
    return alternate(std::vector{only}, repetitions)[0];
  }

  // States how `ours` stands to `theirs` by a figure of which more is better (or less, as for CPU time).
  // `goal` > 0 is a ratio that the median must reach; missing it makes exit_code() 3.
  struct Question {
    std::string title;
    std::string ours;
    std::string theirs;
    bool less_is_better = false;
    double goal = 0;
  };
  void verdict(const Question& question, const std::vector<double>& ours, const std::vector<double>& theirs);

  // For runs that never wait: says so when another process took the core away from one of them.
  void warn_if_starved(const std::vector<Series>& sides);
  void note(const std::string& text);  // a line for the reader, also in the JSON
  int exit_code() const { return goal_missed_ ? 3 : 0; }

 private:
  class JsonLines;
  void print_sides(const Case& work);
  void print_sample(const std::string& title, const Series& series, unsigned repetition);
  void print_summary(const std::string& title, const std::vector<Series>& sides) const;

  std::string bench_;
  std::unique_ptr<JsonLines> json_;
  std::set<std::string> printed_settings_;  // settings are printed once; the JSON has them with every case
  bool goal_missed_ = false;
};

}  // namespace cambium::bench
