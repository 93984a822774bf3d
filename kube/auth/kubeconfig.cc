#include "kube/auth/kubeconfig.h"

#include "kube/auth/exec_credentials.h"
#include "kube/auth/file_credentials.h"
#include "kube/auth/kubeconfig_file.h"
#include "runtime/base/base64.h"
#include "runtime/base/file.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace farlet::kube {
namespace {

constexpr size_t kMaxKubeconfig = size_t{4} << 20;

bool IsLoopback(std::string_view server) {
  std::string_view host = server.substr(std::string_view("http://").size());
  host = host.substr(0, host.find_first_of(":/"));
  return host == "localhost" || host.substr(0, 4) == "127.";
}

Result<KubeconfigNode> ParseFile(const std::filesystem::path& path) {
  FARLET_ASSIGN(const std::string text, Annotate(ReadFile(path, kMaxKubeconfig), "kubeconfig"));
  try {
    KubeconfigNode root(YAML::Load(text), path, "");
    if (!root.yaml().IsMap()) {
      return InvalidArgument("kubeconfig " + path.string() + ": not a YAML mapping");
    }
    return root;
  } catch (const YAML::Exception& malformed) {
    return InvalidArgument(fmt::format("kubeconfig {}: line {}: {}", path.string(),
                                       malformed.mark.line + 1, malformed.msg));
  }
}

// KEY-data, decoded, or the file that KEY names; data wins, as in client-go.
Result<MaterialSource> Material(const KubeconfigNode& node, const std::string& key) {
  MaterialSource source;
  FARLET_ASSIGN(source.value, node.Data(key + "-data"));
  if (source.value.empty()) {
    FARLET_ASSIGN(source.file, node.Path(key));
  }
  source.field = node.Bad(source.value.empty() ? key : key + "-data", "").message;
  source.field.resize(source.field.size() - 2);  // ": "
  return source;
}

Status CheckCluster(const KubeconfigNode& cluster, const std::string& server) {
  FARLET_ASSIGN(const bool insecure, cluster.Flag("insecure-skip-tls-verify"));
  if (insecure) {
    return cluster.Bad("insecure-skip-tls-verify",
                       "refused; TLS is always verified, give certificate-authority[-data]");
  }
  if (cluster.Has("proxy-url")) {
    return cluster.Bad("proxy-url", "proxies are not supported; remove it");
  }
  if (server.rfind("https://", 0) != 0 &&
      (server.rfind("http://", 0) != 0 || !IsLoopback(server))) {
    return cluster.Bad("server", "\"" + server + "\" has to start with https://");
  }
  return {};
}

Status CheckUser(const KubeconfigNode& user) {
  for (const char* key : {"username", "password", "auth-provider", "as", "as-uid", "as-groups"}) {
    if (user.Has(key)) {
      return user.Bad(key,
                      "not supported; use a client certificate, a token or a credential plugin");
    }
  }
  return {};
}

Result<std::vector<std::string>> Strings(const KubeconfigNode& node, const char* key) {
  std::vector<std::string> strings;
  if (!node.Has(key)) {
    return strings;
  }
  const YAML::Node list = node.yaml()[key];
  for (size_t i = 0; list.IsSequence() && i < list.size(); ++i) {
    if (!list[i].IsScalar()) {
      return node.Bad(key, "not a list of strings");
    }
    strings.push_back(list[i].Scalar());
  }
  return list.IsSequence() ? Result<std::vector<std::string>>(std::move(strings))
                           : node.Bad(key, "not a list of strings");
}

Result<std::vector<std::pair<std::string, std::string>>> Settings(const KubeconfigNode& exec) {
  std::vector<std::pair<std::string, std::string>> settings;
  if (!exec.Has("env")) {
    return settings;
  }
  const YAML::Node list = exec.yaml()["env"];
  for (size_t i = 0; list.IsSequence() && i < list.size(); ++i) {
    const KubeconfigNode entry(list[i], exec.folder() / "x", "env");
    FARLET_ASSIGN(const std::string name, entry.Text("name"));
    FARLET_ASSIGN(const std::string value, entry.Text("value"));
    if (name.empty()) {
      return exec.Bad("env", "an entry has no name");
    }
    settings.emplace_back(name, value);
  }
  return settings;
}

std::string ClusterInfo(const ClusterAccess& access, const std::string& ca_pem) {
  nlohmann::json info{{"server", access.server}, {"config", nullptr}};
  if (!access.tls_server_name.empty()) {
    info["tls-server-name"] = access.tls_server_name;
  }
  if (!ca_pem.empty()) {
    info["certificate-authority-data"] = EncodeBase64(ca_pem);
  }
  return info.dump();
}

Result<CredentialPlugin> Plugin(const KubeconfigNode& user) {
  FARLET_ASSIGN(const KubeconfigNode exec, user.Child("exec", "it has to be a mapping"));
  CredentialPlugin plugin;
  plugin.field = exec.Bad("command", "").message;
  plugin.field.resize(plugin.field.size() - 2);
  FARLET_ASSIGN(plugin.api_version,
                exec.RequiredText("apiVersion", "use client.authentication.k8s.io/v1"));
  if (plugin.api_version != "client.authentication.k8s.io/v1" &&
      plugin.api_version != "client.authentication.k8s.io/v1beta1") {
    return exec.Bad("apiVersion",
                    "\"" + plugin.api_version +
                        "\" is not supported; use client.authentication.k8s.io/v1 or v1beta1");
  }
  FARLET_ASSIGN(plugin.command, exec.RequiredText("command", "name the plugin's program"));
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = (exec.folder() / plugin.command).string();
  }
  FARLET_ASSIGN(const std::string interactive, exec.Text("interactiveMode"));
  if (interactive == "Always") {
    return exec.Bad("interactiveMode", "Always cannot be done here; use Never or IfAvailable");
  }
  FARLET_ASSIGN(plugin.arguments, Strings(exec, "args"));
  FARLET_ASSIGN(plugin.environment, Settings(exec));
  FARLET_ASSIGN(plugin.install_hint, exec.Text("installHint"));
  return plugin;
}

Result<std::shared_ptr<Credentials>> UserCredentials(const KubeconfigNode& user,
                                                     MaterialSource ca,
                                                     const ClusterAccess& access,
                                                     const Clock& clock) {
  FARLET_TRY(CheckUser(user));
  FileCredentialSources sources{.ca = std::move(ca)};
  if (user.Has("exec")) {
    FARLET_ASSIGN(CredentialPlugin plugin, Plugin(user));
    FARLET_ASSIGN(auto ca_only, FileCredentials::Make(std::move(sources), clock));
    FARLET_ASSIGN(const KubeconfigNode exec, user.Child("exec", ""));
    FARLET_ASSIGN(const bool wants_cluster, exec.Flag("provideClusterInfo"));
    if (wants_cluster) {
      ca_only->Get([&](Result<CredentialPtr> credential) {
        plugin.cluster_json = ClusterInfo(access, (*credential)->ca_pem);
      });
    }
    return std::shared_ptr<Credentials>(
        std::make_shared<ExecCredentials>(std::move(plugin), std::move(ca_only), clock));
  }
  FARLET_ASSIGN(sources.certificate, Material(user, "client-certificate"));
  FARLET_ASSIGN(sources.key, Material(user, "client-key"));
  if (sources.certificate.given() != sources.key.given()) {
    return user.Bad(sources.key.given() ? "client-certificate" : "client-key",
                    "missing; certificate and key are needed together");
  }
  sources.token.field = user.FieldName("tokenFile");
  FARLET_ASSIGN(sources.token.file, user.Path("tokenFile"));
  if (sources.token.file.empty()) {
    FARLET_ASSIGN(sources.token.value, user.Text("token"));
  }
  if (!sources.certificate.given() && !sources.token.given()) {
    return user.Bad("token", "missing; give a client certificate, token, tokenFile or exec");
  }
  return FileCredentials::Make(std::move(sources), clock);
}

Result<ClusterAccess> Load(const std::filesystem::path& path,
                           const Clock& clock,
                           std::string_view wanted_context) {
  FARLET_ASSIGN(const KubeconfigNode root, ParseFile(path));
  std::string context_name(wanted_context);
  if (context_name.empty()) {
    FARLET_ASSIGN(context_name, root.RequiredText("current-context", "choose one of the contexts"));
  }
  FARLET_ASSIGN(const KubeconfigNode context, root.Named("contexts", "context", context_name));
  FARLET_ASSIGN(const std::string cluster_name,
                context.RequiredText("cluster", "name one of the clusters"));
  FARLET_ASSIGN(const std::string user_name, context.RequiredText("user", "name one of the users"));
  FARLET_ASSIGN(const KubeconfigNode cluster, root.Named("clusters", "cluster", cluster_name));
  FARLET_ASSIGN(const KubeconfigNode user, root.Named("users", "user", user_name));

  ClusterAccess access;
  FARLET_ASSIGN(access.server, cluster.RequiredText("server", "give https://HOST:PORT"));
  FARLET_TRY(CheckCluster(cluster, access.server));
  FARLET_ASSIGN(access.tls_server_name, cluster.Text("tls-server-name"));
  FARLET_ASSIGN(const std::string object_namespace, context.Text("namespace"));
  if (!object_namespace.empty()) {
    access.default_namespace = object_namespace;
  }
  FARLET_ASSIGN(MaterialSource ca, Material(cluster, "certificate-authority"));
  FARLET_ASSIGN(access.credentials, UserCredentials(user, std::move(ca), access, clock));
  return access;
}

}  // namespace

Result<ClusterAccess> LoadKubeconfig(const std::filesystem::path& path,
                                     const Clock& clock,
                                     std::string_view context) {
  try {
    return Load(path, clock, context);
  } catch (const YAML::Exception& malformed) {
    return InvalidArgument("kubeconfig " + path.string() + ": " + malformed.what());
  }
}

std::string FormatKubeconfig(std::string_view server,
                             std::string_view ca_pem,
                             std::string_view client_pem_path) {
  const std::string pem = nlohmann::json(client_pem_path).dump();
  return fmt::format(
      "apiVersion: v1\nkind: Config\ncurrent-context: default\n"
      "contexts:\n- name: default\n  context: {{cluster: default, user: default}}\n"
      "clusters:\n- name: default\n  cluster:\n    server: {}\n"
      "    certificate-authority-data: \"{}\"\n"
      "users:\n- name: default\n  user:\n    client-certificate: {}\n    client-key: {}\n",
      nlohmann::json(server).dump(), EncodeBase64(ca_pem), pem, pem);
}

}  // namespace farlet::kube
