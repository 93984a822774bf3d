#include "provider/pod/projected_volume.h"

#include "provider/pod/object_data.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

constexpr mode_t kPrivateToken = 0600;

// The user of all containers, when they have one and the same.
std::optional<uid_t> CommonUser(const kube::PodSpec& spec) {
  std::optional<int64_t> common;
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    for (const kube::Container& container : *list) {
      const std::optional<int64_t> user = container.security.run_as_user
                                              ? container.security.run_as_user
                                              : spec.security.run_as_user;
      if (!user || (common && *common != *user)) {
        return std::nullopt;
      }
      common = user;
    }
  }
  return common ? std::optional(static_cast<uid_t>(*common)) : std::nullopt;
}

class PayloadMaker {
 public:
  PayloadMaker(const kube::ProjectedVolume& volume,
               const EnvContext& context,
               const TokenLookup& tokens)
      : volume_(volume), context_(context), tokens_(tokens) {}

  Result<Payload> Make() && {
    for (const kube::ProjectionSource& source : volume_.sources) {
      Status added = std::visit([this](const auto& item) { return Add(item); }, source);
      if (!added) {
        errors_.push_back(std::move(added).error());
      }
    }
    if (errors_.empty()) {
      return std::move(payload_);
    }
    return JoinErrors();
  }

 private:
  Error JoinErrors() {
    const auto worse =
        std::stable_partition(errors_.begin(), errors_.end(),
                              [](const Error& error) { return error.code != Code::kUnavailable; });
    if (worse != errors_.begin()) {
      errors_.erase(worse, errors_.end());
    }
    if (errors_.size() > 1) {
      std::string texts;
      for (const Error& error : errors_) {
        texts += (texts.empty() ? "" : ", ") + error.message;
      }
      errors_.front().message = "[" + texts + "]";
    }
    return errors_.front();
  }

  void Put(const std::string& path, std::string content, std::optional<int32_t> mode) {
    payload_[path] = {.content = std::move(content),
                      .mode = static_cast<mode_t>(mode.value_or(volume_.default_mode))};
  }

  Status AddObject(const kube::ObjectProjection& from,
                   kube::ObjectKind kind,
                   Result<DataMap> (*decode)(const nlohmann::json&)) {
    const bool secret = kind == kube::ObjectKind::kSecret;
    const char* kind_name = secret ? "secret" : "configmap";
    DataMap data;
    const kube::ObjectCache::Lookup object = context_.objects(
        {.kind = kind, .object_namespace = context_.pod.meta.object_namespace, .name = from.name});
    if (object) {
      FARLET_ASSIGN(data,
                    Annotate(decode(**object), fmt::format("{} \"{}\"", kind_name, from.name)));
    } else if (object.error().code != Code::kNotFound) {
      return object.error();
    } else if (!from.optional) {
      return NotFound(fmt::format("{} \"{}\" not found", kind_name, from.name));
    }
    if (from.items.empty()) {
      for (auto& [key, content] : data) {
        Put(key, std::move(content), std::nullopt);
      }
      return {};
    }
    // All or nothing, so that an error leaves no half of a source behind.
    for (const kube::KeyToPath& item : from.items) {
      if (!data.contains(item.key) && !from.optional) {
        return NotFound(fmt::format(
            "{} key: {}",
            secret ? "references non-existent secret" : "configmap references non-existent config",
            item.key));
      }
    }
    for (const kube::KeyToPath& item : from.items) {
      const auto found = data.find(item.key);
      if (found != data.end()) {
        Put(item.path, found->second, item.mode);
      }
    }
    return {};
  }

  Status Add(const kube::ConfigMapProjection& from) {
    return AddObject(from, kube::ObjectKind::kConfigMap, &ConfigMapFiles);
  }

  Status Add(const kube::SecretProjection& from) {
    return AddObject(from, kube::ObjectKind::kSecret, &SecretData);
  }

  Status Add(const kube::DownwardApiProjection& from) {
    for (const kube::DownwardApiFile& file : from.items) {
      std::string content;
      if (const auto* field = std::get_if<kube::FieldSelector>(&file.source)) {
        FARLET_ASSIGN(content, FieldValue(*field, context_));
      } else {
        const auto& resource = std::get<kube::ResourceFieldSelector>(file.source);
        FARLET_ASSIGN(content, ResourceFieldValue(resource, nullptr, context_));
      }
      Put(file.path, std::move(content), file.mode);
    }
    return {};
  }

  Status Add(const kube::ServiceAccountTokenProjection& from) {
    FARLET_ASSIGN(TokenValue value, tokens_(from));
    const std::optional<uid_t> user = CommonUser(context_.pod.spec);
    const bool restricted = user || context_.pod.spec.security.fs_group;
    payload_[from.path] = {
        .content = std::move(value.token),
        .mode = restricted ? kPrivateToken : static_cast<mode_t>(volume_.default_mode),
        .owner = user};
    return {};
  }

  static Status Add(const kube::UnsupportedProjection& from) {
    return InvalidArgument(fmt::format("projected source {} is not supported", from.type));
  }

  const kube::ProjectedVolume& volume_;
  const EnvContext& context_;
  const TokenLookup& tokens_;
  Payload payload_;
  std::vector<Error> errors_;
};

}  // namespace

Result<Payload> MakePayload(const kube::ProjectedVolume& volume,
                            const EnvContext& context,
                            const TokenLookup& tokens) {
  return PayloadMaker(volume, context, tokens).Make();
}

}  // namespace farlet::pod
