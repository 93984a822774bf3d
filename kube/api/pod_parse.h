#pragma once

#include "kube/api/field_reader.h"
#include "kube/api/pod.h"

#include <string>
#include <vector>

// The parts of Pod::FromJson. Problems go to the reader's FieldErrors; fields in use that the types
// do not hold go to `not_understood`.
namespace farlet::kube {

Container ParseContainer(const FieldReader& in, std::vector<std::string>& not_understood);
Volume ParseVolume(const FieldReader& in);
FieldSelector ParseFieldSelector(const FieldReader& in);
ResourceFieldSelector ParseResourceFieldSelector(const FieldReader& in);
std::optional<SecurityProfile> ParseSecurityProfile(const FieldReader& in);
ResourceList ParseResourceList(const FieldReader& in, std::string_view key);

// DNS-1123 label: what names files and cgroups further down.
bool IsDnsLabel(std::string_view text);

}  // namespace farlet::kube
