#pragma once

#include "kube/auth/credentials.h"
#include "runtime/base/clock.h"
#include "runtime/base/result.h"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace farlet::kube {

// Where an API server is and how to authenticate both ways.
struct ClusterAccess {
  std::string server;           // "https://10.0.0.1:6443"
  std::string tls_server_name;  // verified instead of the server's host; empty: the host
  std::string default_namespace = "default";
  std::shared_ptr<Credentials> credentials;  // shared by the client and who writes kubeconfigs
};

// Reads a kubeconfig and checks all of it that can be checked without the network; `context` empty:
// current-context. Files that it names (relative ones lie beside it) are re-read when they change:
// client certificates and keys, CA and token files, each looked at no more than once a second.
// `clock` outlives the result.
//
// Errors are kInvalidArgument (kNotFound when the file is missing), one line that names the file,
// the field and what to do. Refused on purpose: insecure-skip-tls-verify, proxy-url, auth-provider,
// impersonation, user name and password.
Result<ClusterAccess> LoadKubeconfig(const std::filesystem::path& path,
                                     const Clock& clock,
                                     std::string_view context = {});

// The service account of the pod that we run in: KUBERNETES_SERVICE_HOST and _PORT from the
// environment; token, ca.crt and namespace from `folder`, re-read like the above.
Result<ClusterAccess> LoadInCluster(
    const Clock& clock,
    const std::filesystem::path& folder = "/var/run/secrets/kubernetes.io/serviceaccount");

// A kubeconfig for a client certificate that lives in `client_pem_path` (certificate and key in one
// file, which may be replaced at any time).
std::string FormatKubeconfig(std::string_view server,
                             std::string_view ca_pem,
                             std::string_view client_pem_path);

}  // namespace farlet::kube
