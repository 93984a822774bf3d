#include "provider/pod/pod_events.h"

#include <algorithm>
#include <utility>

namespace farlet::pod {
namespace {

std::string ContainerPath(const kube::Pod& pod, const std::string& container) {
  const auto& inits = pod.spec.init_containers;
  const bool init = std::any_of(inits.begin(), inits.end(),
                                [&](const auto& other) { return other.name == container; });
  return (init ? "spec.initContainers{" : "spec.containers{") + container + "}";
}

// As google.golang.org/grpc/codes prints them.
std::string_view GoCodeName(Code code) {
  switch (code) {
    case Code::kCancelled:
      return "Canceled";
    case Code::kUnknown:
      return "Unknown";
    case Code::kInvalidArgument:
      return "InvalidArgument";
    case Code::kDeadlineExceeded:
      return "DeadlineExceeded";
    case Code::kNotFound:
      return "NotFound";
    case Code::kAlreadyExists:
      return "AlreadyExists";
    case Code::kPermissionDenied:
      return "PermissionDenied";
    case Code::kResourceExhausted:
      return "ResourceExhausted";
    case Code::kFailedPrecondition:
      return "FailedPrecondition";
    case Code::kAborted:
      return "Aborted";
    case Code::kOutOfRange:
      return "OutOfRange";
    case Code::kUnimplemented:
      return "Unimplemented";
    case Code::kInternal:
      return "Internal";
    case Code::kUnavailable:
      return "Unavailable";
    case Code::kDataLoss:
      return "DataLoss";
    case Code::kUnauthenticated:
      return "Unauthenticated";
  }
  return "Unknown";
}

}  // namespace

std::string GoRpcText(const Error& error) {
  return "rpc error: code = " + std::string(GoCodeName(error.code)) + " desc = " + error.message;
}

void PodEvents::Record(const kube::Pod& pod,
                       std::string field_path,
                       kube::EventType type,
                       std::string_view reason,
                       std::string_view message) {
  recorder_.Record({.kind = "Pod",
                    .api_version = "v1",
                    .object_namespace = pod.meta.object_namespace,
                    .name = pod.meta.name,
                    .uid = pod.meta.uid,
                    .resource_version = pod.meta.resource_version,
                    .field_path = std::move(field_path)},
                   type, reason, message);
}

void PodEvents::Normal(const kube::Pod& pod, std::string_view reason, std::string_view message) {
  Record(pod, {}, kube::EventType::kNormal, reason, message);
}

void PodEvents::Warning(const kube::Pod& pod, std::string_view reason, std::string_view message) {
  Record(pod, {}, kube::EventType::kWarning, reason, message);
}

void PodEvents::Normal(const kube::Pod& pod,
                       const std::string& container,
                       std::string_view reason,
                       std::string_view message) {
  Record(pod, ContainerPath(pod, container), kube::EventType::kNormal, reason, message);
}

void PodEvents::Warning(const kube::Pod& pod,
                        const std::string& container,
                        std::string_view reason,
                        std::string_view message) {
  Record(pod, ContainerPath(pod, container), kube::EventType::kWarning, reason, message);
}

}  // namespace farlet::pod
