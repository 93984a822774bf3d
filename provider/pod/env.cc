#include "provider/pod/env.h"

#include "provider/pod/object_data.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <utility>

namespace farlet::pod {
namespace {

const char* KindName(kube::ObjectKind kind) {
  return kind == kube::ObjectKind::kSecret ? "secret" : "configmap";
}

// Makes the variables of one container.
class EnvMaker {
 public:
  EnvMaker(const kube::Container& container, const EnvContext& context)
      : container_(container), context_(context), visible_(context.service_env) {}

  Result<std::vector<cri::EnvVar>> Make() && {
    for (const kube::EnvFromSource& source : container_.env_from) {
      FARLET_TRY(AddAll(source));
    }
    for (const kube::EnvVar& env : container_.env) {
      FARLET_ASSIGN(std::optional<std::string> value, Value(env));
      if (value) {
        Set(env.name, *std::move(value));
      }
    }
    for (const auto& [name, value] : context_.service_env) {
      if (!position_.contains(name)) {
        Set(name, value);
      }
    }
    return std::move(result_);
  }

 private:
  void Set(const std::string& name, std::string value) {
    const auto [found, added] = position_.emplace(name, result_.size());
    if (added) {
      result_.push_back({.name = name});
    }
    visible_[name] = value;
    result_[found->second].value = std::move(value);
  }

  // The data of an object; null when it is optional and missing.
  Result<const DataMap*> Data(kube::ObjectKind kind, const std::string& name, bool optional) {
    const kube::ObjectKey key{
        .kind = kind, .object_namespace = context_.pod.meta.object_namespace, .name = name};
    const auto known = data_.find(key);
    if (known != data_.end()) {
      return &known->second;
    }
    const kube::ObjectCache::Lookup object = context_.objects(key);
    if (!object) {
      if (object.error().code != Code::kNotFound) {
        return object.error();
      }
      if (optional) {
        return nullptr;
      }
      return NotFound(fmt::format("{} \"{}\" not found", KindName(kind), name));
    }
    FARLET_ASSIGN(
        DataMap data,
        Annotate(kind == kube::ObjectKind::kSecret ? SecretData(**object) : ConfigMapData(**object),
                 fmt::format("{} \"{}\"", KindName(kind), name)));
    return &data_.emplace(key, std::move(data)).first->second;
  }

  Status AddAll(const kube::EnvFromSource& source) {
    const auto kind = source.kind == kube::EnvFromSource::Kind::kSecret
                          ? kube::ObjectKind::kSecret
                          : kube::ObjectKind::kConfigMap;
    FARLET_ASSIGN(const DataMap* data, Data(kind, source.name, source.optional));
    if (data != nullptr) {
      for (const auto& [key, value] : *data) {
        Set(source.prefix + key, value);
      }
    }
    return {};
  }

  // nullopt: the variable is optional and not there.
  Result<std::optional<std::string>> KeyValue(kube::ObjectKind kind,
                                              const kube::KeySelector& from) {
    FARLET_ASSIGN(const DataMap* data, Data(kind, from.name, from.optional));
    if (data == nullptr) {
      return std::optional<std::string>();
    }
    const auto found = data->find(from.key);
    if (found != data->end()) {
      return std::optional(found->second);
    }
    if (from.optional) {
      return std::optional<std::string>();
    }
    return NotFound(fmt::format("couldn't find key {} in {} {}/{}", from.key,
                                kind == kube::ObjectKind::kSecret ? "Secret" : "ConfigMap",
                                context_.pod.meta.object_namespace, from.name));
  }

  Result<std::optional<std::string>> Value(const kube::EnvVar& env) {
    if (const auto* literal = std::get_if<std::string>(&env.source)) {
      return std::optional(Expand(*literal, visible_));
    }
    if (const auto* config = std::get_if<kube::ConfigMapKey>(&env.source)) {
      return KeyValue(kube::ObjectKind::kConfigMap, *config);
    }
    if (const auto* secret = std::get_if<kube::SecretKey>(&env.source)) {
      return KeyValue(kube::ObjectKind::kSecret, *secret);
    }
    std::string value;
    if (const auto* field = std::get_if<kube::FieldSelector>(&env.source)) {
      FARLET_ASSIGN(value, FieldValue(*field, context_));
    } else {
      const auto& resource = std::get<kube::ResourceFieldSelector>(env.source);
      FARLET_ASSIGN(value, ResourceFieldValue(resource, &container_, context_));
    }
    return std::optional(std::move(value));
  }

  const kube::Container& container_;
  const EnvContext& context_;
  // What $(NAME) can refer to so far.
  std::map<std::string, std::string> visible_;
  std::map<std::string, size_t> position_;
  std::map<kube::ObjectKey, DataMap> data_;
  std::vector<cri::EnvVar> result_;
};

}  // namespace

Result<std::vector<cri::EnvVar>> MakeEnv(const kube::Container& container,
                                         const EnvContext& context) {
  return EnvMaker(container, context).Make();
}

}  // namespace farlet::pod
