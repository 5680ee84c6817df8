// SPDX-License-Identifier: MIT OR Apache-2.0
#include "harness/batch_getter.h"

namespace cambium::bench {

void BatchGetter::start(GetListener& listener) {
  listener_ = &listener;
  tags_.clear();
}

void BatchGetter::submit(std::string_view key, std::uint64_t tag) {
  if (keys_.size() == tags_.size()) keys_.emplace_back();
  keys_[tags_.size()].assign(key);
  tags_.push_back(tag);
}

void BatchGetter::poll() {
  if (tags_.empty()) return;
  views_.assign(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(tags_.size()));
  found_.assign(tags_.size(), false);
  auto report = [this](std::size_t index, std::string_view value) {
    found_[index] = true;
    listener_->on_get(tags_[index], true, value);
  };
  engine_.multi_get(views_, report);
  for (std::size_t index = 0; index < tags_.size(); ++index) {
    if (!found_[index]) listener_->on_get(tags_[index], false, {});
  }
  tags_.clear();
}

}  // namespace cambium::bench
