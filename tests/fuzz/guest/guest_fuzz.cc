// Whatever a guest answers to the shim, containerd's calls all end, each exactly once, and what
// they are told is bounded.

#include "proto/containerd/task/v2/task.pb.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/log.h"
#include "runtime/shim/task/task_service.h"
#include "runtime/ttrpc/client.h"
#include "runtime/ttrpc/server.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/guest/hostile_guest.h"

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Of what is logged nobody could read a word.
namespace farlet::log {

void Write(Level /*level*/, std::string_view /*message*/, Fields /*fields*/) {}

void SetLevel(Level /*level*/) {}

}  // namespace farlet::log

namespace farlet::shim {
namespace {

namespace task = containerd::task::v2;
namespace fs = std::filesystem;

constexpr size_t kMaxError = 4096;

// The bundles that containerd would have made; the same for all runs.
struct Bundles {
  Bundles() {
    std::string folder = (fs::temp_directory_path() / "farlet-fuzz-XXXXXX").string();
    FUZZ_CHECK(::mkdtemp(folder.data()) != nullptr);
    path = folder;
    Make("sandbox", "sandbox");
    Make("c", "container");
  }

  ~Bundles() { fs::remove_all(path); }

  Bundles(const Bundles&) = delete;
  Bundles& operator=(const Bundles&) = delete;

  void Make(const std::string& id, const std::string& kind) const {
    const std::string spec =
        R"({"ociVersion": "1.0.2", "hostname": "pod", "root": {"path": "rootfs"},
      "annotations": {"io.kubernetes.cri.sandbox-id": "sandbox",
                      "io.kubernetes.cri.container-type": ")" +
        kind + R"("},
      "process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
      "linux": {"namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}]}})";
    fs::create_directories(path / id);
    FUZZ_CHECK(WriteFileAtomic(path / id / "config.json", spec, 0600));
  }

  fs::path path;
};

// A machine that is only its guest.
class FuzzedMachine final : public Machine {
 public:
  explicit FuzzedMachine(UniqueFd agent) : agent_(std::move(agent)) {}

  Result<BootedMachine> Boot() override {
    return BootedMachine{.pid = 4711, .agent = std::move(agent_)};
  }

  std::string Stage() const override { return "it boots"; }

  std::chrono::nanoseconds WaitedForCpu() const override { return {}; }

  Result<std::vector<guest::v1::Layer>> PlaceRootfs(
      const std::vector<RootfsMount>& /*mounts*/) override {
    return std::vector<guest::v1::Layer>(1);
  }

  Result<std::string> Share(const SharedPath& /*path*/) override { return std::string("s/1"); }

  void Unshare(const SharedPath& /*path*/) override {}

  Status ForwardLoopback(ConnectionHandler /*handler*/) override { return {}; }

  Status Pause() override { return {}; }

  Status Resume() override { return {}; }

  std::string ExitReason() const override { return "running"; }

  Status Kill() override { return {}; }

  void Release() override {}

 private:
  UniqueFd agent_;
};

class Fuzzed {
 public:
  explicit Fuzzed(std::string_view input)
      : guest_(input), pool_(1), threads_{.io = guest_.peer().context(), .pool = pool_} {
    machine_ = std::make_shared<FuzzedMachine>(guest_.peer().TakeOther());
    pod_ = std::make_shared<Pod>(threads_, machine_, clock_);
    service_ = std::make_shared<TaskService>(TaskService::Parts{
        .threads = threads_,
        .pod = pod_,
        .events = std::make_shared<EventPublisher>(
            threads_.io, clock_,
            EventPublisher::Options{.address = "", .containerd_namespace = "k8s.io"}),
        .clock = clock_,
        .facts = facts_,
        .cgroup_v2 = true,
        .on_shutdown = [](const auto& done) { done(); }});
    server_ = std::make_unique<ttrpc::Server>(threads_.io);
    service_->Register(*server_);
    std::array<int, 2> ends{};
    FUZZ_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) ==
               0);
    server_->Serve(UniqueFd(ends[0]));
    client_ = ttrpc::Client::Over(threads_.io, UniqueFd(ends[1]));
  }

  void Run() {
    pod_->Boot();
    Settle();
    Live();
    // The guest's end is the end of all that waits for it.
    pod_->Kill();
    Settle();
    FUZZ_CHECK(pod_->state() == Pod::State::kGone);
    FUZZ_CHECK(done_ == asked_);
    client_->Close();
    server_->Close();
    Settle();
    pool_.join();
    threads_.io.poll();
  }

 private:
  static const Bundles& Folder() {
    static const Bundles bundles;
    return bundles;
  }

  // A pod's life as containerd asks for it.
  void Live() {
    Create("sandbox");
    Ask<task::StartRequest, task::StartResponse>("Start", "sandbox");
    Create("c");
    Ask<task::StartRequest, task::StartResponse>("Start", "c");
    task::ExecProcessRequest exec;
    exec.mutable_spec()->set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Process");
    exec.mutable_spec()->set_value(R"({"cwd": "/", "args": ["true"]})");
    exec.set_exec_id("e");
    Ask<task::ExecProcessRequest, wkt::Empty>("Exec", "c", exec);
    task::StartRequest start;
    start.set_exec_id("e");
    Ask<task::StartRequest, task::StartResponse>("Start", "c", start);
    Ask<task::WaitRequest, task::WaitResponse>("Wait", "c");
    Ask<task::StateRequest, task::StateResponse>("State", "c");
    Ask<task::StatsRequest, task::StatsResponse>("Stats", "c");
    Ask<task::StatsRequest, task::StatsResponse>("Stats", "sandbox");
    Ask<task::PidsRequest, task::PidsResponse>("Pids", "c");
    Ask<task::ResizePtyRequest, wkt::Empty>("ResizePty", "c");
    Ask<task::PauseRequest, wkt::Empty>("Pause", "c");
    Ask<task::ResumeRequest, wkt::Empty>("Resume", "c");
    task::KillRequest kill;
    kill.set_signal(9);
    Ask<task::KillRequest, wkt::Empty>("Kill", "c", kill);
    task::DeleteRequest remove;
    remove.set_exec_id("e");
    Ask<task::DeleteRequest, task::DeleteResponse>("Delete", "c", remove);
    Ask<task::DeleteRequest, task::DeleteResponse>("Delete", "c");
  }

  void Create(const std::string& id) {
    task::CreateTaskRequest request;
    request.set_bundle((Folder().path / id).string());
    auto& mount = *request.add_rootfs();
    mount.set_type("overlay");
    mount.add_options("lowerdir=/a:/b");
    Ask<task::CreateTaskRequest, task::CreateTaskResponse>("Create", id, request);
  }

  template <class Req, class Rep>
  void Ask(const std::string& method, const std::string& id, Req request = {}) {
    request.set_id(id);
    ++asked_;
    client_->Call<Req, Rep>("containerd.task.v2.Task", method, request, std::chrono::seconds(0),
                            [this](const Result<Rep>& answer) {
                              ++done_;
                              FUZZ_CHECK(answer || answer.error().message.size() < kMaxError);
                            });
    Settle();
  }

  // Until nothing more happens: what the pool was given before the marker is done behind it.
  void Settle() {
    bool moved = true;
    while (moved) {
      moved = threads_.io.poll() > 0;
      moved = guest_.Answer() || moved;
      std::promise<void> done;
      boost::asio::post(pool_, [&done] { done.set_value(); });
      done.get_future().wait();
      moved = threads_.io.poll() > 0 || moved;
    }
  }

  RealClock clock_;
  RealHostFacts facts_;
  HostileGuest guest_;
  boost::asio::thread_pool pool_;
  Threads threads_;
  std::shared_ptr<FuzzedMachine> machine_;
  std::shared_ptr<Pod> pod_;
  std::shared_ptr<TaskService> service_;
  std::unique_ptr<ttrpc::Server> server_;
  std::shared_ptr<ttrpc::Client> client_;
  int asked_ = 0;
  int done_ = 0;
};

}  // namespace
}  // namespace farlet::shim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  farlet::shim::Fuzzed({reinterpret_cast<const char*>(data), size}).Run();
  return 0;
}
