// SPDX-License-Identifier: MIT OR Apache-2.0
#include "base/intrusive_list.h"

#include <catch2/catch.hpp>
#include <deque>
#include <list>
#include <vector>

#include "base/random.h"
#include "runtime/base/death.h"

using namespace cambium::rt;
using cambium::rt::testing::run_in_child;

namespace {

struct Item : IntrusiveNode {
  explicit Item(int number) : value(number) {}
  int value;
};

struct InQueue : IntrusiveNode {};
struct InGroup : IntrusiveNode {};
struct Job : InQueue, InGroup {
  int value = 0;
};

std::vector<int> values(const IntrusiveList<Item>& list) {
  std::vector<int> out;
  for (const Item& item : list) out.push_back(item.value);
  return out;
}

}  // namespace

TEST_CASE("intrusive list: elements come out in the order of insertion, from either end") {
  Item a(1);
  Item b(2);
  Item c(3);
  Item d(4);
  IntrusiveList<Item> list;
  CHECK(list.empty());
  list.push_back(b);
  list.push_back(d);
  list.push_front(a);
  list.insert_before(d, c);
  CHECK(values(list) == std::vector<int>{1, 2, 3, 4});
  CHECK(list.front().value == 1);
  CHECK(list.back().value == 4);
  CHECK(list.pop_front().value == 1);
  CHECK(list.pop_back().value == 4);
  list.remove(b);
  CHECK_FALSE(b.linked());
  CHECK(c.linked());
  c.unlink();
  CHECK(list.empty());
}

TEST_CASE("intrusive list: random insertions and removals agree with std::list") {
  constexpr std::uint64_t kSeed = 23;
  CAPTURE(kSeed);
  Random random(kSeed);
  std::deque<Item> items;
  for (int i = 0; i < 50; ++i) items.emplace_back(i);
  IntrusiveList<Item> list;
  std::list<int> model;
  for (int step = 0; step < 5000; ++step) {
    Item& item = items[random.below(items.size())];
    if (item.linked()) {
      list.remove(item);
      model.remove(item.value);
    } else if (random.chance(0.5)) {
      list.push_back(item);
      model.push_back(item.value);
    } else {
      list.push_front(item);
      model.push_front(item.value);
    }
    REQUIRE(list.empty() == model.empty());
    if (step % 50 == 0) REQUIRE(values(list) == std::vector<int>(model.begin(), model.end()));
  }
  while (!list.empty()) list.pop_front();
}

TEST_CASE("intrusive list: all elements of one move to the end of another") {
  Item a(1);
  Item b(2);
  Item c(3);
  IntrusiveList<Item> to;
  IntrusiveList<Item> from;
  to.take_all(from);
  CHECK(to.empty());
  to.push_back(a);
  from.push_back(b);
  from.push_back(c);
  to.take_all(from);
  CHECK(from.empty());
  CHECK(values(to) == std::vector<int>{1, 2, 3});
  from.take_all(to);
  CHECK(values(from) == std::vector<int>{1, 2, 3});
  from.take_all(from);
  CHECK(values(from) == std::vector<int>{1, 2, 3});
  while (!from.empty()) from.pop_back();
}

TEST_CASE("intrusive list: an element may be in two lists through two bases") {
  Job job;
  job.value = 9;
  IntrusiveList<Job, InQueue> queue;
  IntrusiveList<Job, InGroup> group;
  queue.push_back(job);
  group.push_back(job);
  CHECK(queue.pop_front().value == 9);
  CHECK(group.front().value == 9);
  CHECK(&group.pop_front() == &job);
}

TEST_CASE("intrusive list: the element under an iterator may be removed once it has moved on") {
  std::deque<Item> items;
  IntrusiveList<Item> list;
  for (int i = 0; i < 10; ++i) list.push_back(items.emplace_back(i));
  for (auto at = list.begin(); at != list.end();) {
    Item& item = *at++;
    if (item.value % 2 == 0) list.remove(item);
  }
  CHECK(values(list) == std::vector<int>{1, 3, 5, 7, 9});
  while (!list.empty()) list.pop_front();
}

TEST_CASE("intrusive list: misuse aborts") {
  CHECK(run_in_child([] {
          IntrusiveList<Item> list;
          auto* item = new Item(1);
          list.push_back(*item);
          delete item;  // still linked
        }).by_abort);
  CHECK(run_in_child([] {
          Item item(1);
          auto* list = new IntrusiveList<Item>;
          list->push_back(item);
          delete list;  // not empty
        }).by_abort);
  CHECK(run_in_child([] {
          Item item(1);
          IntrusiveList<Item> a;
          IntrusiveList<Item> b;
          a.push_back(item);
          b.push_back(item);  // in two lists
        }).by_abort);
  CHECK(run_in_child([] { IntrusiveList<Item>().pop_front(); }).by_abort);
}
