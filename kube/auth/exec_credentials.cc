#include "kube/auth/exec_credentials.h"

#include "kube/auth/certificate.h"
#include "kube/auth/child_process.h"
#include "runtime/base/log.h"
#include "runtime/base/time_format.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

namespace farlet::kube {
namespace {

using nlohmann::json;

constexpr seconds kRenewBefore{10};
constexpr seconds kFailurePause{1};

struct PluginAnswer {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;
  std::optional<WallTime> expires;
};

std::string StringAt(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<std::string> Environment(const CredentialPlugin& plugin) {
  json info{{"kind", "ExecCredential"},
            {"apiVersion", plugin.api_version},
            {"spec", {{"interactive", false}}}};
  if (!plugin.cluster_json.empty()) {
    info["spec"]["cluster"] = json::parse(plugin.cluster_json, nullptr, false);
  }
  std::vector<std::string> environment;
  // The last setting of a name wins in every libc that matters only if there is just one.
  const auto overridden = [&plugin](std::string_view setting) {
    const std::string_view name = setting.substr(0, setting.find('='));
    for (const auto& [key, value] : plugin.environment) {
      if (key == name) {
        return true;
      }
    }
    return name == "KUBERNETES_EXEC_INFO";
  };
  for (char** setting = environ; *setting != nullptr; ++setting) {
    if (!overridden(*setting)) {
      environment.emplace_back(*setting);
    }
  }
  for (const auto& [key, value] : plugin.environment) {
    environment.push_back(key + "=" + value);
  }
  environment.push_back("KUBERNETES_EXEC_INFO=" + info.dump());
  return environment;
}

Result<PluginAnswer> ParseAnswer(const CredentialPlugin& plugin, const std::string& text) {
  const json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) {
    return InvalidArgument("it printed something that is not a JSON object");
  }
  if (StringAt(answer, "kind") != "ExecCredential") {
    return InvalidArgument("it printed no ExecCredential");
  }
  if (const std::string version = StringAt(answer, "apiVersion"); version != plugin.api_version) {
    return InvalidArgument("it printed apiVersion \"" + version + "\", the kubeconfig asks for \"" +
                           plugin.api_version + "\"");
  }
  const json status = answer.value("status", json::object());
  PluginAnswer parsed{.token = StringAt(status, "token"),
                      .certificate_pem = StringAt(status, "clientCertificateData"),
                      .key_pem = StringAt(status, "clientKeyData")};
  if (parsed.token.empty() && parsed.certificate_pem.empty()) {
    return InvalidArgument("its status has neither token nor clientCertificateData");
  }
  if (!parsed.certificate_pem.empty()) {
    FARLET_TRY(
        Annotate(CheckKeyMatches(parsed.certificate_pem, parsed.key_pem), "clientCertificateData"));
  }
  if (const std::string expires = StringAt(status, "expirationTimestamp"); !expires.empty()) {
    FARLET_ASSIGN(parsed.expires, Annotate(ParseRfc3339(expires), "expirationTimestamp"));
  }
  return parsed;
}

Result<PluginAnswer> Ask(const CredentialPlugin& plugin, const std::atomic<bool>& stop) {
  ChildProcess process{.arguments = {plugin.command},
                       .environment = Environment(plugin),
                       .timeout = plugin.timeout,
                       .max_output = plugin.max_output};
  process.arguments.insert(process.arguments.end(), plugin.arguments.begin(),
                           plugin.arguments.end());
  Result<std::string> printed = RunChildProcess(process, stop);
  Result<PluginAnswer> answer =
      printed ? ParseAnswer(plugin, *printed) : Result<PluginAnswer>(std::move(printed).error());
  if (answer) {
    return answer;
  }
  Error error = std::move(answer).error();
  const bool missing = error.code == Code::kNotFound;
  if (missing && !plugin.install_hint.empty()) {
    error.message += "; " + plugin.install_hint;
  }
  error.retryable = !missing;
  return Wrap(plugin.field + ": credential plugin " + plugin.command, std::move(error));
}

}  // namespace

struct ExecCredentials::State {
  State(CredentialPlugin plugin_config, std::shared_ptr<Credentials> ca_source, const Clock& time)
      : plugin(std::move(plugin_config)), ca(std::move(ca_source)), clock(time) {}

  bool Fresh() const {
    return current && !refused && (!expires || clock.WallNow() + kRenewBefore < *expires);
  }

  // Takes over the plugin's answer or the CA's change. Needs mutex.
  void Merge(const Credential& next) {
    const bool same_tls = current && next.certificate_pem == current->certificate_pem &&
                          next.key_pem == current->key_pem && next.ca_pem == current->ca_pem;
    if (same_tls && next.bearer_token == current->bearer_token) {
      return;
    }
    auto changed = std::make_shared<Credential>(next);
    changed->generation = (current ? current->generation : 0) + 1;
    changed->tls_generation = (current ? current->tls_generation : 0) + (same_tls ? 0 : 1);
    current = std::move(changed);
  }

  // Needs mutex.
  void MergeCa() {
    ca->Get([this](Result<CredentialPtr> result) {
      if (result) {
        ca_pem = (*result)->ca_pem;
      }
    });
    if (current && current->ca_pem != ca_pem) {
      Credential next = *current;
      next.ca_pem = ca_pem;
      Merge(next);
    }
  }

  void Run();

  const CredentialPlugin plugin;
  const std::shared_ptr<Credentials> ca;
  const Clock& clock;
  std::atomic<bool> stop{false};
  std::mutex mutex;  // guards all below
  std::string ca_pem;
  CredentialPtr current;
  std::optional<WallTime> expires;
  bool refused = false;  // the server said 401 to current
  std::optional<std::pair<SteadyTime, Error>> failure;
  bool running = false;
  std::set<std::thread::id> threads;  // that have not finished telling
  std::condition_variable thread_ended;
  std::vector<Callback<CredentialPtr>> waiting;
};

void ExecCredentials::State::Run() {
  Result<PluginAnswer> answer = Ask(plugin, stop);
  std::vector<Callback<CredentialPtr>> tell;
  Result<CredentialPtr> outcome = Cancelled(plugin.field + ": closed");
  {
    const std::lock_guard lock(mutex);
    running = false;
    tell.swap(waiting);
    if (answer) {
      Credential next;
      next.bearer_token = std::move(answer->token);
      next.certificate_pem = std::move(answer->certificate_pem);
      next.key_pem = std::move(answer->key_pem);
      next.ca_pem = ca_pem;
      Merge(next);
      expires = answer->expires;
      refused = false;
      failure.reset();
      outcome = current;
    } else if (current && !refused && (!expires || clock.WallNow() < *expires)) {
      log::Warning("credential plugin failed; keeping the old credential",
                   {{"error", answer.error()}});
      outcome = current;
    } else {
      failure.emplace(clock.Now(), answer.error());
      outcome = std::move(answer).error();
    }
  }
  for (const auto& done : tell) {
    done(outcome);
  }
  tell.clear();
  const std::lock_guard lock(mutex);
  threads.erase(std::this_thread::get_id());
  thread_ended.notify_all();
}

ExecCredentials::ExecCredentials(CredentialPlugin plugin,
                                 std::shared_ptr<Credentials> ca,
                                 const Clock& clock)
    : state_(std::make_shared<State>(std::move(plugin), std::move(ca), clock)) {}

ExecCredentials::~ExecCredentials() {
  state_->stop = true;
  std::unique_lock lock(state_->mutex);
  // A waiting callback may hold the last reference to us: then this is the thread to wait for.
  const size_t ours = state_->threads.count(std::this_thread::get_id());
  state_->thread_ended.wait(lock, [&] { return state_->threads.size() == ours; });
}

void ExecCredentials::Get(Callback<CredentialPtr> done) {
  std::unique_lock lock(state_->mutex);
  state_->MergeCa();
  if (state_->Fresh()) {
    const CredentialPtr current = state_->current;
    lock.unlock();
    done(current);
    return;
  }
  if (state_->failure && state_->clock.Now() - state_->failure->first < kFailurePause) {
    Error error = state_->failure->second;
    lock.unlock();
    done(std::move(error));
    return;
  }
  state_->waiting.push_back(std::move(done));
  if (state_->running) {
    return;
  }
  state_->running = true;
  // Detached, so that a callback on it may ask again; the destructor waits for it all the same.
  std::thread thread([state = state_] { state->Run(); });
  state_->threads.insert(thread.get_id());
  thread.detach();
}

void ExecCredentials::Invalidate(uint64_t generation) {
  const std::lock_guard lock(state_->mutex);
  if (state_->current && state_->current->generation == generation) {
    state_->refused = true;
  }
}

}  // namespace farlet::kube
