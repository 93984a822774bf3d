#pragma once

#include "runtime/base/result.h"

#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace farlet::kube {

// A mapping within a kubeconfig that knows its path, so that each complaint names it. Private to
// kube/auth.
class KubeconfigNode {
 public:
  KubeconfigNode(YAML::Node node, std::filesystem::path file, std::string field)
      : node_(std::move(node)), file_(std::move(file)), field_(std::move(field)) {}

  // "FILE: FIELD.key: what".
  Error Bad(std::string_view key, std::string_view what) const;
  std::string FieldName(std::string_view key) const;

  bool Has(std::string_view key) const;
  // Empty when absent; an error when it is no scalar.
  Result<std::string> Text(std::string_view key) const;
  Result<std::string> RequiredText(std::string_view key, std::string_view advice) const;
  Result<bool> Flag(std::string_view key) const;
  // A base64 value, decoded; empty when absent.
  Result<std::string> Data(std::string_view key) const;
  // A path; relative ones start from the kubeconfig's folder. Empty when absent.
  Result<std::filesystem::path> Path(std::string_view key) const;
  Result<KubeconfigNode> Child(std::string_view key, std::string_view advice) const;
  // The mapping `what` of the entry called `name` of the list `list`.
  Result<KubeconfigNode> Named(std::string_view list,
                               std::string_view what,
                               std::string_view name) const;

  const YAML::Node& yaml() const { return node_; }

  std::filesystem::path folder() const { return file_.parent_path(); }

 private:
  YAML::Node Get(std::string_view key) const;

  YAML::Node node_;
  std::filesystem::path file_;
  std::string field_;
};

}  // namespace farlet::kube
