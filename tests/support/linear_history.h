// SPDX-License-Identifier: MIT OR Apache-2.0
// LinearHistory: what was done to one key, by many at a time; and whether any order explains it.
//
// Each operation has a moment at which it was asked for and one at which it was answered. The history is linearizable
// when every operation can be given one moment in between, at which it took effect as a whole, so that each read shows
// the write before it. Keys are independent of each other, so each has a history of its own.
//
// Source     "just-in-time linearization", G. Lowe, "Testing for linearizability" (2017): all configurations (which of
//            the open operations have taken effect, and the value then) are kept at a time, and an operation is made
//            to take effect only when an answer asks for it.
// Units      moments: any numbers that grow; values: numbers, kAbsent for none.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/text.h"

namespace cambium::test {

class LinearHistory {
 public:
  static constexpr std::uint64_t kAbsent = 0;

  void wrote(std::uint64_t value, std::uint64_t asked, std::uint64_t answered) { add({true, value, asked, answered}); }
  void read(std::uint64_t value, std::uint64_t asked, std::uint64_t answered) { add({false, value, asked, answered}); }
  std::size_t size() const noexcept { return operations_.size(); }

  // Empty when there is an order that explains everything; else the first answer that none explains.
  std::string violation() const {
    Search search;
    for (const Event& event : events()) {
      if (!event.answer) {
        search.open(operations_[event.operation]);
      } else if (!search.answer(operations_[event.operation])) {
        const Operation& operation = operations_[event.operation];
        return rt::str(operation.write ? "the write of " : "the read of ", operation.value, ", asked for at ",
                       operation.asked, " and answered at ", operation.answered, ", fits no order");
      }
    }
    return {};
  }

 private:
  struct Operation {
    bool write;
    std::uint64_t value;
    std::uint64_t asked;
    std::uint64_t answered;
  };
  struct Event {
    std::uint64_t moment;
    bool answer;
    std::size_t operation;
  };
  struct Configuration {
    std::uint64_t effective = 0;  // of the open operations, by slot
    std::uint64_t value = kAbsent;
    auto operator<=>(const Configuration&) const = default;
  };

  class Search {
   public:
    void open(const Operation& operation) {
      const auto free = std::find(slots_.begin(), slots_.end(), nullptr);
      CAMBIUM_ASSERT_MSG(free != slots_.end(), "more operations at a time than a history takes");
      *free = &operation;
    }
    // Lets operations take effect, in every order, until this one has. False when there is no way.
    bool answer(const Operation& operation) {
      const auto slot = static_cast<std::size_t>(std::find(slots_.begin(), slots_.end(), &operation) - slots_.begin());
      const std::uint64_t answered = std::uint64_t{1} << slot;
      std::set<Configuration> known(configurations_);
      std::vector<Configuration> open(configurations_.begin(), configurations_.end());
      configurations_.clear();
      while (!open.empty()) {
        const Configuration now = open.back();
        open.pop_back();
        if ((now.effective & answered) != 0) {
          configurations_.insert({now.effective & ~answered, now.value});
          continue;
        }
        for (std::size_t i = 0; i < slots_.size(); ++i) {
          const std::uint64_t bit = std::uint64_t{1} << i;
          if (slots_[i] == nullptr || (now.effective & bit) != 0) continue;
          if (!slots_[i]->write && slots_[i]->value != now.value) continue;
          const Configuration after{now.effective | bit, slots_[i]->value};
          if (known.insert(after).second) open.push_back(after);
        }
      }
      slots_[slot] = nullptr;
      return !configurations_.empty();
    }

   private:
    std::set<Configuration> configurations_ = {Configuration{}};
    std::array<const Operation*, 64> slots_{};
  };

  void add(const Operation& operation) {
    CAMBIUM_ASSERT(operation.asked < operation.answered);
    operations_.push_back(operation);
  }
  std::vector<Event> events() const {
    std::vector<Event> all;
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      all.push_back({operations_[i].asked, false, i});
      all.push_back({operations_[i].answered, true, i});
    }
    std::sort(all.begin(), all.end(), [](const Event& a, const Event& b) { return a.moment < b.moment; });
    return all;
  }

  std::vector<Operation> operations_;
};

}  // namespace cambium::test
