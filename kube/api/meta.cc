#include "kube/api/meta.h"

#include "kube/api/field_reader.h"

#include <nlohmann/json.hpp>

namespace farlet::kube {
namespace {

OwnerReference ParseOwner(const FieldReader& in) {
  OwnerReference owner;
  in.Read("apiVersion", owner.api_version);
  in.Read("kind", owner.kind);
  in.Read("name", owner.name);
  in.Read("uid", owner.uid);
  in.Read("controller", owner.controller);
  return owner;
}

}  // namespace

Result<ObjectMeta> ParseObjectMeta(const nlohmann::json& object) {
  FieldErrors errors;
  ObjectMeta meta;
  const FieldReader root(object, "", errors);
  const FieldReader in = root.Object("metadata");
  in.Read("uid", meta.uid);
  in.Read("namespace", meta.object_namespace);
  in.Read("name", meta.name);
  in.Read("resourceVersion", meta.resource_version);
  in.Read("generation", meta.generation);
  in.Read("labels", meta.labels);
  in.Read("annotations", meta.annotations);
  in.List("ownerReferences",
          [&](const FieldReader& item) { meta.owners.push_back(ParseOwner(item)); });
  in.Read("creationTimestamp", meta.creation_timestamp);
  in.Read("deletionTimestamp", meta.deletion_timestamp);
  in.Read("deletionGracePeriodSeconds", meta.deletion_grace_period);
  if (!in.present()) {
    in.Fail("is missing");
  }
  if (meta.name.empty()) {
    in.Fail("name", "is missing");
  }
  if (errors.first()) {
    return *errors.first();
  }
  return meta;
}

}  // namespace farlet::kube
