#pragma once

#include "runtime/base/result.h"

#include <nlohmann/json_fwd.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace farlet::fargate {

// YAML as JSON, with the lines of its fields kept. Scalars have the types of the YAML core schema
// as Kubernetes' own tools see them: `env: 5` is a number, `env: "5"` a string.
class YamlDocument {
 public:
  // All documents of a text; empty ones are left out. Errors have the line: "line 3: …".
  static Result<std::vector<YamlDocument>> ParseAll(std::string_view text);

  ~YamlDocument();
  YamlDocument(YamlDocument&& other) noexcept;
  YamlDocument& operator=(YamlDocument&& other) noexcept;

  const nlohmann::json& json() const;

  // Of the deepest field that is there on the way to `path` ("spec.selectors[0].labels[env]"), from
  // one.
  int LineOf(std::string_view path) const;

 private:
  struct State;
  explicit YamlDocument(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace farlet::fargate
