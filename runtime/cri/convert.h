#pragma once

#include "proto/cri/v1/api.pb.h"
#include "runtime/base/result.h"
#include "runtime/cri/types.h"

#include <google/protobuf/map.h>

#include <string>
#include <string_view>
#include <vector>

// Between CRI's messages and types.h. To…() cannot fail; From…() checks what the protocol requires:
// kInternal naming the field. Fields that we do not know keep their defaults.
namespace farlet::cri {

namespace pb = ::runtime::v1;

// convert_common.cc
StringMap FromMap(const google::protobuf::Map<std::string, std::string>& map);
void ToMap(const StringMap& from, google::protobuf::Map<std::string, std::string>* to);
void ToNamespaceOptions(const NamespaceOptions& from, pb::NamespaceOption* to);
void ToSecurityProfile(const SecurityProfile& from, pb::SecurityProfile* to);
void ToResources(const LinuxResources& from, pb::LinuxContainerResources* to);
// CRI stamps are nanoseconds since the epoch, 0 for "not yet".
WallTime FromNanos(int64_t nanos);
Error MissingField(std::string_view call, std::string_view field);
// The id of an answer, which must not be empty.
Result<std::string> RequireText(std::string text, std::string_view call, std::string_view field);

// convert_runtime.cc
RuntimeStatus FromStatusResponse(const pb::StatusResponse& from);
std::vector<FilesystemUsage> FromFilesystems(const pb::ImageFsInfoResponse& from);

// convert_sandbox.cc
void ToSandboxConfig(const SandboxConfig& from, pb::PodSandboxConfig* to);
Result<std::vector<Sandbox>> FromSandboxList(const pb::ListPodSandboxResponse& from);
Result<SandboxStatus> FromSandboxStatus(const pb::PodSandboxStatusResponse& from);

// convert_container.cc
void ToContainerConfig(const ContainerConfig& from, pb::ContainerConfig* to);
Result<std::vector<Container>> FromContainerList(const pb::ListContainersResponse& from);
Result<ContainerStatus> FromContainerStatus(const pb::ContainerStatusResponse& from);

// convert_image.cc
void ToImageAuth(const ImageAuth& from, pb::AuthConfig* to);
Result<Image> FromImage(const pb::Image& from, std::string_view call);

}  // namespace farlet::cri
