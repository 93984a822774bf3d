#include "kube/api/field_reader.h"
#include "kube/api/pod_parse.h"

#include <utility>

namespace farlet::kube {
namespace {

constexpr int32_t kMaxMode = 07777;

void ReadMode(const FieldReader& in, std::string_view key, std::optional<int32_t>& out) {
  in.Read(key, out);
  if (out && (*out < 0 || *out > kMaxMode)) {
    in.Fail(key, "must be between 0 and 07777");
  }
}

void ReadMode(const FieldReader& in, std::string_view key, int32_t& out) {
  std::optional<int32_t> mode;
  ReadMode(in, key, mode);
  out = mode.value_or(out);
}

// `name_key` is "secretName" in secret volumes.
template <class Projection>
Projection ParseObjectProjection(const FieldReader& in, std::string_view name_key = "name") {
  Projection projection;
  in.Read(name_key, projection.name);
  in.Read("optional", projection.optional);
  in.List("items", [&](const FieldReader& item) {
    KeyToPath& entry = projection.items.emplace_back();
    item.Read("key", entry.key);
    item.Read("path", entry.path);
    ReadMode(item, "mode", entry.mode);
  });
  return projection;
}

DownwardApiProjection ParseDownwardApi(const FieldReader& in) {
  DownwardApiProjection projection;
  in.List("items", [&](const FieldReader& item) {
    DownwardApiFile& file = projection.items.emplace_back();
    item.Read("path", file.path);
    ReadMode(item, "mode", file.mode);
    if (item.Has("resourceFieldRef")) {
      file.source = ParseResourceFieldSelector(item.Object("resourceFieldRef"));
    } else {
      file.source = ParseFieldSelector(item.Object("fieldRef"));
    }
  });
  return projection;
}

ServiceAccountTokenProjection ParseToken(const FieldReader& in) {
  ServiceAccountTokenProjection token;
  in.Read("audience", token.audience);
  in.Read("expirationSeconds", token.expiration);
  in.Read("path", token.path);
  return token;
}

ProjectionSource ParseProjection(const FieldReader& in) {
  if (in.Has("configMap")) {
    return ParseObjectProjection<ConfigMapProjection>(in.Object("configMap"));
  }
  if (in.Has("secret")) {
    return ParseObjectProjection<SecretProjection>(in.Object("secret"));
  }
  if (in.Has("downwardAPI")) {
    return ParseDownwardApi(in.Object("downwardAPI"));
  }
  if (in.Has("serviceAccountToken")) {
    return ParseToken(in.Object("serviceAccountToken"));
  }
  const std::vector<std::string> keys = in.Keys();
  return UnsupportedProjection{.type = keys.empty() ? "" : keys.front()};
}

EmptyDirVolume ParseEmptyDir(const FieldReader& in) {
  EmptyDirVolume volume;
  in.Read("medium", volume.medium);
  in.Read("sizeLimit", volume.size_limit);
  return volume;
}

ProjectedVolume ParseFiles(const FieldReader& in, ProjectedVolume::Kind kind) {
  ProjectedVolume volume{.kind = kind};
  ReadMode(in, "defaultMode", volume.default_mode);
  switch (kind) {
    case ProjectedVolume::Kind::kConfigMap:
      volume.sources.emplace_back(ParseObjectProjection<ConfigMapProjection>(in));
      break;
    case ProjectedVolume::Kind::kSecret:
      volume.sources.emplace_back(ParseObjectProjection<SecretProjection>(in, "secretName"));
      break;
    case ProjectedVolume::Kind::kDownwardApi:
      volume.sources.emplace_back(ParseDownwardApi(in));
      break;
    case ProjectedVolume::Kind::kProjected:
      in.List("sources",
              [&](const FieldReader& item) { volume.sources.push_back(ParseProjection(item)); });
      break;
  }
  return volume;
}

}  // namespace

Volume ParseVolume(const FieldReader& in) {
  using Kind = ProjectedVolume::Kind;
  Volume volume;
  in.Read("name", volume.name);
  if (in.Has("emptyDir")) {
    volume.source = ParseEmptyDir(in.Object("emptyDir"));
  } else if (in.Has("configMap")) {
    volume.source = ParseFiles(in.Object("configMap"), Kind::kConfigMap);
  } else if (in.Has("secret")) {
    volume.source = ParseFiles(in.Object("secret"), Kind::kSecret);
  } else if (in.Has("downwardAPI")) {
    volume.source = ParseFiles(in.Object("downwardAPI"), Kind::kDownwardApi);
  } else if (in.Has("projected")) {
    volume.source = ParseFiles(in.Object("projected"), Kind::kProjected);
  } else {
    UnsupportedVolume other;
    for (const std::string& key : in.Keys()) {
      if (key != "name") {
        other.type = key;
      }
    }
    volume.source = std::move(other);
  }
  return volume;
}

}  // namespace farlet::kube
