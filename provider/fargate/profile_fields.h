#pragma once

#include "kube/api/field_reader.h"
#include "provider/fargate/profile.h"

#include <string>
#include <string_view>

// Internal: parts that several readers share.
namespace farlet::fargate {

// The fields that the object and eksctl's file have in common.
void ReadProfileFields(const kube::FieldReader& in, Profile& profile);

// "cap_net_admin" → "NET_ADMIN", "ALL" → "*".
std::string CapabilityName(std::string_view text);

}  // namespace farlet::fargate
