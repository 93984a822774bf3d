#include "provider/fargate/pod_patch.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

namespace farlet::fargate {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

const Json* Find(const Json& object, const Pointer& at) {
  return object.contains(at) && !object[at].is_null() ? &object[at] : nullptr;
}

class PatchBuilder {
 public:
  explicit PatchBuilder(const Json& pod) : pod_(pod) {}

  // Sets a member of an object, which is made if it is not there. RFC 6902's "add" replaces, too.
  void Set(const Pointer& object, std::string_view key, Json value) {
    const Pointer at = object / std::string(key);
    if (const Json* now = Find(pod_, at); now != nullptr && *now == value) {
      return;
    }
    Make(object, Json::object());
    Add(at, std::move(value));
  }

  // Appends to a list unless the item is in it.
  void Append(const Pointer& list, Json item) {
    if (const Json* now = Find(pod_, list); now != nullptr && now->is_array()) {
      if (std::find(now->begin(), now->end(), item) != now->end()) {
        return;
      }
    }
    Make(list, Json::array());
    Add(list / "-", std::move(item));
  }

  std::string Text() const { return patch_.empty() ? std::string() : patch_.dump(); }

 private:
  void Make(const Pointer& at, Json empty) {
    if (Find(pod_, at) != nullptr || !made_.insert(at.to_string()).second) {
      return;
    }
    if (!at.parent_pointer().empty()) {
      Make(at.parent_pointer(), Json::object());
    }
    Add(at, std::move(empty));
  }

  void Add(const Pointer& at, Json value) {
    patch_.push_back({{"op", "add"}, {"path", at.to_string()}, {"value", std::move(value)}});
  }

  const Json& pod_;
  std::set<std::string> made_;
  Json patch_ = Json::array();
};

// Extended resources need equal requests and limits. They stand with one container, as what counts
// is the pod's sum.
void CountProvisioned(const Configuration& provisioned, PatchBuilder& patch) {
  const Pointer resources("/spec/containers/0/resources");
  for (const char* kind : {"requests", "limits"}) {
    patch.Set(resources / kind, kMilliCpuResource, std::to_string(provisioned.cpu.value));
    patch.Set(resources / kind, kMemoryResource, std::to_string(provisioned.memory.value / kMi));
  }
}

}  // namespace

std::string MakePodPatch(const Json& pod,
                         const std::string& profile,
                         const Configuration& provisioned,
                         const AdmissionOptions& options) {
  PatchBuilder patch(pod);
  const Pointer metadata("/metadata");
  const Pointer spec("/spec");
  patch.Set(metadata / "labels", options.names.profile_label, profile);
  patch.Set(metadata / "annotations", kCapacityAnnotation, CapacityText(provisioned));
  patch.Set(spec / "nodeSelector", options.names.compute_type, kFargate);
  patch.Append(spec / "tolerations", {{"key", options.names.compute_type},
                                      {"operator", "Equal"},
                                      {"value", kFargate},
                                      {"effect", "NoSchedule"}});
  if (!options.runtime_class.empty() && Find(pod, spec / "runtimeClassName") == nullptr) {
    patch.Set(spec, "runtimeClassName", options.runtime_class);
  }
  if (const Json* scheduler = Find(pod, spec / "schedulerName");
      scheduler != nullptr && *scheduler == kAwsScheduler) {
    patch.Set(spec, "schedulerName", kDefaultScheduler);
  }
  if (options.count_provisioned) {
    CountProvisioned(provisioned, patch);
  }
  return patch.Text();
}

}  // namespace farlet::fargate
