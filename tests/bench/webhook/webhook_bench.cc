// How long the webhook takes for a review, over TLS:
//
//   farlet_webhook_bench [RATE [SECONDS [CONNECTIONS [PROFILES]]]]
//
// RATE reviews a second (500) for SECONDS (10), on CONNECTIONS kept-alive connections (8), against
// PROFILES profiles (50) of which the last matches. The server has one core to itself; latencies
// count from when a request was due, so that a queue is seen; the server's CPU time for a review,
// with HTTP and TLS, says how busy that keeps its core, also on a machine that others use. Prints a
// table in Markdown; exit code 1 when the 99th percentile is over 5 ms or an answer is wrong.

#include "provider/webhook/webhook_server.h"
#include "tests/unit/provider/server/test_client.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace farlet::webhook {
namespace {

using std::chrono::steady_clock;

constexpr double kGoalMs = 5.0;

// Threads made afterwards run there, too.
void RunOn(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

double CpuMicroseconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

std::shared_ptr<const fargate::ProfileSet> MakeProfiles(int count) {
  std::vector<fargate::ProfilePtr> profiles;
  for (int i = 0; i < count; ++i) {
    fargate::Profile profile;
    profile.meta.name = fmt::format("profile-{:04}", i);
    for (int j = 0; j < 5; ++j) {
      profile.selectors.push_back({.object_namespace = fmt::format("*team-{}-{}*", i, j),
                                   .labels = {{"app*", "w*b"}, {"env", "prod"}}});
    }
    profiles.push_back(std::make_shared<const fargate::Profile>(profile));
  }
  fargate::Profile last;
  last.meta.name = "z";
  last.selectors = {{.object_namespace = "shop"}};
  profiles.push_back(std::make_shared<const fargate::Profile>(last));
  return std::make_shared<const fargate::ProfileSet>(std::move(profiles));
}

// About what an API server sends for a pod with two containers.
std::string MakeReview() {
  using nlohmann::json;
  json container{
      {"name", "web"},
      {"image", "registry.example/shop/web:1.2.3"},
      {"ports", {{{"containerPort", 8080}, {"protocol", "TCP"}}}},
      {"resources",
       {{"requests", {{"cpu", "250m"}, {"memory", "256Mi"}}},
        {"limits", {{"cpu", "500m"}, {"memory", "512Mi"}}}}},
      {"terminationMessagePath", "/dev/termination-log"},
      {"volumeMounts",
       {{{"name", "kube-api-access"},
         {"readOnly", true},
         {"mountPath", "/var/run/secrets/kubernetes.io/serviceaccount"}}}},
      {"readinessProbe", {{"httpGet", {{"path", "/"}, {"port", 8080}}}, {"periodSeconds", 10}}},
      {"securityContext", {{"capabilities", {{"drop", {"ALL"}}}}, {"runAsNonRoot", true}}}};
  for (int i = 0; i < 30; ++i) {
    container["env"].push_back(
        {{"name", fmt::format("SETTING_{}", i)}, {"value", std::string(40, 'v')}});
  }
  json managed{{"manager", "kube-controller-manager"}, {"fieldsV1", json::object()}};
  for (int i = 0; i < 40; ++i) {
    managed["fieldsV1"][fmt::format("f:field-{}", i)] = {{"f:sub", json::object()}};
  }
  return json{
      {"apiVersion", "admission.k8s.io/v1"},
      {"kind", "AdmissionReview"},
      {"request",
       {{"uid", "705ab4f5-6393-11e8-b7cc-42010a800002"},
        {"operation", "CREATE"},
        {"namespace", "shop"},
        {"resource", {{"group", ""}, {"version", "v1"}, {"resource", "pods"}}},
        {"object",
         {{"metadata",
           {{"generateName", "web-6d4cf56db6-"},
            {"labels", {{"app", "web"}, {"env", "prod"}}},
            {"managedFields", {managed}}}},
          {"spec",
           {{"containers", {container, container}},
            {"tolerations", {{{"key", "node.kubernetes.io/not-ready"}, {"operator", "Exists"}}}},
            {"volumes",
             {{{"name", "kube-api-access"}, {"projected", {{"sources", json::array()}}}}}}}}}}}}}
      .dump();
}

struct Load {
  double rate = 500;
  std::chrono::seconds length{10};
  int connections = 8;
};

// What one connection saw.
struct Seen {
  std::vector<double> latencies;  // milliseconds
  double cpu = 0;                 // microseconds that its thread used
  int wrong = 0;
};

// Sends every `connections`-th request of the whole.
Seen Drive(uint16_t port, const Load& load, int number, steady_clock::time_point start) {
  const std::string body = MakeReview();
  const std::string request = fmt::format(
      "POST /mutate HTTP/1.1\r\nHost: w\r\nContent-Type: application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      body.size(), body);
  server::testing::TestClient client(port);
  Seen seen;
  const int total = static_cast<int>(load.rate * static_cast<double>(load.length.count()));
  for (int i = number; i < total; i += load.connections) {
    const auto due = start + std::chrono::duration_cast<steady_clock::duration>(
                                 std::chrono::duration<double>(i / load.rate));
    std::this_thread::sleep_until(due);
    client.Send(request);
    const auto answer = client.Read();
    if (answer.status != 200 || answer.body.find("\"patch\"") == std::string::npos) {
      ++seen.wrong;
    }
    seen.latencies.push_back(
        std::chrono::duration<double, std::milli>(steady_clock::now() - due).count());
  }
  seen.cpu = CpuMicroseconds(CLOCK_THREAD_CPUTIME_ID);
  return seen;
}

// The server's own word about the time that reviews themselves took, in microseconds each.
double ReviewMicroseconds(uint16_t port, size_t reviews) {
  const auto metrics = server::testing::TestClient(port).Fetch("/metrics");
  const size_t at = metrics.body.rfind(' ');
  return at == std::string::npos
             ? 0
             : std::strtod(metrics.body.c_str() + at, nullptr) * 1e6 / static_cast<double>(reviews);
}

int Run(const Load& load, int profiles) {
  RunOn(0);
  WebhookServer server({.address = "127.0.0.1", .port = 0},
                       [set = MakeProfiles(profiles)] { return set; });
  const farlet::testing::FakeCa ca;
  const auto pair = ca.Issue({.common_name = "webhook"});
  if (!server.SetCertificate(pair.certificate_pem, pair.key_pem) || !server.Listen()) {
    fmt::print(stderr, "cannot listen\n");
    return 2;
  }
  RunOn(1);
  std::vector<Seen> parts(static_cast<size_t>(load.connections));
  std::vector<std::thread> threads;
  const double cpu_before = CpuMicroseconds(CLOCK_PROCESS_CPUTIME_ID);
  const auto start = steady_clock::now() + std::chrono::milliseconds(200);
  for (int i = 0; i < load.connections; ++i) {
    threads.emplace_back(
        [&, i] { parts[static_cast<size_t>(i)] = Drive(server.port(), load, i, start); });
  }
  std::vector<double> all;
  double clients_cpu = 0;
  int wrong = 0;
  for (size_t i = 0; i < threads.size(); ++i) {
    threads[i].join();
    all.insert(all.end(), parts[i].latencies.begin(), parts[i].latencies.end());
    clients_cpu += parts[i].cpu;
    wrong += parts[i].wrong;
  }
  const double server_cpu = (CpuMicroseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_before - clients_cpu) /
                            static_cast<double>(all.size());
  std::sort(all.begin(), all.end());
  const auto at = [&](double share) {
    return all[std::min(all.size() - 1,
                        static_cast<size_t>(share * static_cast<double>(all.size())))];
  };
  fmt::print(
      "| reviews/s | reviews | bytes | p50 ms | p99 ms | p99.9 ms | max ms | server CPU µs/review "
      "| of which review | wrong |\n");
  fmt::print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  fmt::print("| {:.0f} | {} | {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {:.0f} | {:.0f} | {} |\n",
             load.rate, all.size(), MakeReview().size(), at(0.5), at(0.99), at(0.999), all.back(),
             server_cpu, ReviewMicroseconds(server.port(), all.size()), wrong);
  return wrong == 0 && at(0.99) <= kGoalMs ? 0 : 1;
}

}  // namespace
}  // namespace farlet::webhook

int main(int argc, char** argv) {
  farlet::webhook::Load load;
  const auto number = [&](int index, int otherwise) {
    return argc > index ? static_cast<int>(std::strtol(argv[index], nullptr, 10)) : otherwise;
  };
  load.rate = std::max(1, number(1, 500));
  load.length = std::chrono::seconds(std::max(1, number(2, 10)));
  load.connections = std::max(1, number(3, 8));
  return farlet::webhook::Run(load, std::max(0, number(4, 50)));
}
