#include "kube/auth/file_credentials.h"
#include "kube/auth/kubeconfig.h"
#include "runtime/base/file.h"

#include <cstdlib>

namespace farlet::kube {

Result<ClusterAccess> LoadInCluster(const Clock& clock, const std::filesystem::path& folder) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment.
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): as above.
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr || *host == '\0' || *port == '\0') {
    return InvalidArgument(
        "in-cluster configuration: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not "
        "set; "
        "outside a pod give a kubeconfig");
  }
  ClusterAccess access;
  // The HTTP client takes no IPv6 addresses; this name is in the API server's certificate.
  const std::string name =
      std::string_view(host).find(':') == std::string_view::npos ? host : "kubernetes.default.svc";
  access.server = "https://" + name + ":" + port;
  if (const auto text = ReadFile(folder / "namespace", 1024); text && !text->empty()) {
    access.default_namespace = *text;
  }
  const std::string prefix = "in-cluster configuration: ";
  FARLET_ASSIGN(access.credentials,
                FileCredentials::Make(
                    {.token = {.field = prefix + "token", .value = {}, .file = folder / "token"},
                     .ca = {.field = prefix + "ca.crt", .value = {}, .file = folder / "ca.crt"}},
                    clock));
  return access;
}

}  // namespace farlet::kube
