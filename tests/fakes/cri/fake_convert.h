#pragma once

#include "proto/cri/v1/api.pb.h"
#include "runtime/cri/types.h"
#include "tests/fakes/cri/fake_cri_server.h"

// The other direction of runtime/cri/convert.h, written apart from it.
namespace farlet::testing {

cri::SandboxConfig ReadSandboxConfig(const ::runtime::v1::PodSandboxConfig& from);
cri::ContainerConfig ReadContainerConfig(const ::runtime::v1::ContainerConfig& from);
cri::ImageAuth ReadAuth(const ::runtime::v1::AuthConfig& from);

// Fill PodSandbox and PodSandboxStatus, Container and ContainerStatus.
template <class Message>
void WriteSandbox(const FakeSandbox& from, Message* to);
void WriteSandboxStatus(const FakeSandbox& from, ::runtime::v1::PodSandboxStatus* to);
void WriteContainer(const FakeContainer& from,
                    const std::string& image_id,
                    ::runtime::v1::Container* to);
void WriteContainerStatus(const FakeContainer& from,
                          const std::string& image_id,
                          ::runtime::v1::ContainerStatus* to);

int64_t Nanos(WallTime time);

template <class Message>
void WriteSandbox(const FakeSandbox& from, Message* to) {
  to->set_id(from.id);
  to->mutable_metadata()->set_name(from.config.metadata.name);
  to->mutable_metadata()->set_namespace_(from.config.metadata.pod_namespace);
  to->mutable_metadata()->set_uid(from.config.metadata.uid);
  to->mutable_metadata()->set_attempt(from.config.metadata.attempt);
  to->set_state(from.state == cri::SandboxState::kReady ? ::runtime::v1::SANDBOX_READY
                                                        : ::runtime::v1::SANDBOX_NOTREADY);
  to->set_created_at(Nanos(from.created_at));
  to->mutable_labels()->insert(from.config.labels.begin(), from.config.labels.end());
  to->mutable_annotations()->insert(from.config.annotations.begin(), from.config.annotations.end());
  to->set_runtime_handler(from.runtime_handler);
}

}  // namespace farlet::testing
