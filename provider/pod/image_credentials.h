#pragma once

#include "kube/api/pod.h"
#include "provider/pod/references.h"
#include "runtime/cri/types.h"

#include <string>
#include <vector>

namespace farlet::pod {

// "busybox" → "docker.io/library/busybox:latest"; kInvalidArgument for a malformed reference
// (→ InvalidImageName).
Result<std::string> NormalizeImage(std::string_view image);

// The credentials to try for an image, best match first; one empty entry when there are none. From
// the pod's imagePullSecrets of types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg:
// auth (base64 user:password), username/password, identitytoken, registrytoken; keys with scheme,
// port, path and globs per host label, as Kubernetes documents them. A secret that is missing or
// malformed is left out and named in `warnings` (event FailedToRetrieveImagePullSecret);
// kUnavailable while one is still being read.
Result<std::vector<cri::ImageAuth>> ImageCredentials(const kube::Pod& pod,
                                                     std::string_view image,
                                                     const ObjectLookup& objects,
                                                     std::vector<std::string>& warnings);

}  // namespace farlet::pod
