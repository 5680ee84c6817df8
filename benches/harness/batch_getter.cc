// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/batch_getter.h"

namespace cambium::bench {

void BatchGetter::run(GetClients& clients, unsigned slot_count) {
  auto report = [&](std::size_t index, std::string_view value) {
    found_[index] = true;
    clients.on_get(slots_[index], true, value);
  };
  for (;;) {
    slots_.clear();
    views_.clear();
    for (unsigned slot = 0; slot < slot_count; ++slot) {
      std::string_view key;
      if (!clients.next(slot, key)) continue;
      slots_.push_back(slot);
      views_.push_back(key);
    }
    if (slots_.empty()) return;
    found_.assign(slots_.size(), false);
    engine_.multi_get(views_, report);
    for (std::size_t index = 0; index < slots_.size(); ++index) {
      if (!found_[index]) clients.on_get(slots_[index], false, {});
    }
  }
}

}  // namespace cambium::bench
