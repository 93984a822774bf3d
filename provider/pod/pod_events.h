#pragma once

#include "kube/api/pod.h"
#include "kube/events/recorder.h"
#include "runtime/base/error.h"

#include <string>
#include <string_view>

namespace farlet::pod {

// Events on pods and their containers with the kubelet's reasons and texts (kubelet-contract B6).
// Thread safe; never blocks. `recorder` outlives it.
class PodEvents {
 public:
  explicit PodEvents(kube::EventRecorder& recorder) : recorder_(recorder) {}

  void Normal(const kube::Pod& pod, std::string_view reason, std::string_view message);
  void Warning(const kube::Pod& pod, std::string_view reason, std::string_view message);
  // About one container of the pod.
  void Normal(const kube::Pod& pod,
              const std::string& container,
              std::string_view reason,
              std::string_view message);
  void Warning(const kube::Pod& pod,
               const std::string& container,
               std::string_view reason,
               std::string_view message);

 private:
  void Record(const kube::Pod& pod,
              std::string field_path,
              kube::EventType type,
              std::string_view reason,
              std::string_view message);

  kube::EventRecorder& recorder_;
};

// "rpc error: code = NotFound desc = …": how Go prints an error that came over gRPC.
std::string GoRpcText(const Error& error);

}  // namespace farlet::pod
