// SPDX-License-Identifier: MIT OR Apache-2.0
// A borrowed callable: two words, one indirect call, no allocation.
//
// std::function would put its own cost into loops of 15 ns per entry, on the faster side most of all.
//
// Lifetime   the callable outlives the FunctionRef: pass it down the stack, never keep it.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace cambium::bench {

template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, Args...>)
  FunctionRef(F&& callable) noexcept  // NOLINT: implicit by design, as a parameter type
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(std::forward<Args>(args)...);
        }) {}

  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

}  // namespace cambium::bench
