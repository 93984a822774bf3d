#pragma once

#include "runtime/base/error.h"

#include <tl/expected.hpp>

#include <functional>
#include <utility>

namespace farlet {

// A value or an Error. Ignoring one is a compile error (-Werror=unused-result).
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;

  // An Error converts by itself, so that `return NotFound("…")` reads well.
  // NOLINTNEXTLINE(google-explicit-constructor): the conversion is the point.
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}
};

using Status = Result<void>;

// How an asynchronous operation reports its end: called exactly once, from any thread, and it must
// not block.
template <class T>
using Callback = std::function<void(Result<T>)>;

using StatusCallback = Callback<void>;

// Wraps the error of `result` and passes a value through.
template <class T>
Result<T> Annotate(Result<T> result, std::string_view what) {
  if (!result) {
    return Wrap(what, std::move(result).error());
  }
  return result;
}

}  // namespace farlet

// Evaluates a Result and returns its error from the current function.
#define FARLET_TRY(expression)                     \
  do {                                             \
    auto farlet_try_result = (expression);         \
    if (!farlet_try_result) {                      \
      return std::move(farlet_try_result).error(); \
    }                                              \
  } while (false)

#define FARLET_CONCAT_INNER(a, b) a##b
#define FARLET_CONCAT(a, b) FARLET_CONCAT_INNER(a, b)

// NOLINTBEGIN(bugprone-macro-parentheses): a declaration cannot stand in parentheses.
#define FARLET_ASSIGN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                \
  if (!temporary) {                                             \
    return std::move(temporary).error();                        \
  }                                                             \
  declaration = std::move(*temporary)
// NOLINTEND(bugprone-macro-parentheses)

// FARLET_ASSIGN(auto pod, ParsePod(json)); declares or assigns, or returns the error.
#define FARLET_ASSIGN(declaration, expression) \
  FARLET_ASSIGN_INNER(FARLET_CONCAT(farlet_assign_, __LINE__), declaration, expression)
