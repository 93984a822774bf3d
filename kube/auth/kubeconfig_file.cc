#include "kube/auth/kubeconfig_file.h"

#include "runtime/base/base64.h"

namespace farlet::kube {

std::string KubeconfigNode::FieldName(std::string_view key) const {
  return field_.empty() ? std::string(key) : field_ + "." + std::string(key);
}

Error KubeconfigNode::Bad(std::string_view key, std::string_view what) const {
  return InvalidArgument("kubeconfig " + file_.string() + ": " + FieldName(key) + ": " +
                         std::string(what));
}

YAML::Node KubeconfigNode::Get(std::string_view key) const {
  // find() on a const node: operator[] of a mutable one would add the key.
  return node_.IsMap() ? node_[std::string(key)] : YAML::Node(YAML::NodeType::Undefined);
}

bool KubeconfigNode::Has(std::string_view key) const {
  const YAML::Node value = Get(key);
  return value.IsDefined() && !value.IsNull() && !(value.IsScalar() && value.Scalar().empty());
}

Result<std::string> KubeconfigNode::Text(std::string_view key) const {
  if (!Has(key)) {
    return std::string();
  }
  const YAML::Node value = Get(key);
  if (!value.IsScalar()) {
    return Bad(key, "not a string");
  }
  return value.Scalar();
}

Result<std::string> KubeconfigNode::RequiredText(std::string_view key,
                                                 std::string_view advice) const {
  FARLET_ASSIGN(std::string text, Text(key));
  if (text.empty()) {
    return Bad(key, "missing; " + std::string(advice));
  }
  return text;
}

Result<bool> KubeconfigNode::Flag(std::string_view key) const {
  FARLET_ASSIGN(const std::string text, Text(key));
  if (text.empty() || text == "false") {
    return false;
  }
  return text == "true" ? Result<bool>(true) : Bad(key, "neither true nor false");
}

Result<std::string> KubeconfigNode::Data(std::string_view key) const {
  FARLET_ASSIGN(std::string text, Text(key));
  Result<std::string> decoded = DecodeBase64(text);
  return decoded ? decoded : Bad(key, decoded.error().message);
}

Result<std::filesystem::path> KubeconfigNode::Path(std::string_view key) const {
  FARLET_ASSIGN(const std::string text, Text(key));
  return text.empty() ? std::filesystem::path() : folder() / text;
}

Result<KubeconfigNode> KubeconfigNode::Child(std::string_view key, std::string_view advice) const {
  const YAML::Node value = Get(key);
  if (!value.IsDefined() || !value.IsMap()) {
    return Bad(key, "missing; " + std::string(advice));
  }
  return KubeconfigNode(value, file_, FieldName(key));
}

Result<KubeconfigNode> KubeconfigNode::Named(std::string_view list,
                                             std::string_view what,
                                             std::string_view name) const {
  const YAML::Node entries = Get(list);
  for (size_t i = 0; entries.IsDefined() && entries.IsSequence() && i < entries.size(); ++i) {
    const KubeconfigNode entry(entries[i], file_,
                               std::string(list) + "[" + std::string(name) + "]");
    FARLET_ASSIGN(const std::string entry_name, entry.Text("name"));
    if (entry_name == name) {
      return entry.Child(what, "the entry has to hold it");
    }
  }
  return Bad(list, "there is no entry named \"" + std::string(name) + "\"");
}

}  // namespace farlet::kube
