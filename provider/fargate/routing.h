#pragma once

#include "provider/fargate/admission.h"

#include <nlohmann/json_fwd.hpp>

#include <string>

namespace farlet::fargate {

// What is to be done about a pod that waits for a node: profiles may have come or changed since it
// was admitted, and most of what admission sets can never be set later.
struct RoutePlan {
  enum class Kind {
    kNothing,
    // Delete it: its controller makes it anew, and admission then makes a Fargate pod of it.
    kRecreate,
    // Say `message` in an event.
    kTell,
  };

  Kind kind = Kind::kNothing;
  std::string profile;  // of kRecreate
  std::string owner;    // of kRecreate: uid of its controller
  std::string message;
};

// Pure. `pod` is an object of the API. Nothing is done about a pod that has been through admission,
// is being deleted, or may yet get a node as it is. Only pods of a ReplicaSet, StatefulSet or
// ReplicationController are deleted: a Job counts a deleted pod as a failed one, and what other
// controllers do is not known.
RoutePlan PlanRoute(const nlohmann::json& pod,
                    const ProfileSet& profiles,
                    const AdmissionOptions& options);

}  // namespace farlet::fargate
