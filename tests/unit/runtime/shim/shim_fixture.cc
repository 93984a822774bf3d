#include "tests/unit/runtime/shim/shim_fixture.h"

#include "runtime/base/file.h"
#include "runtime/ttrpc/unix_socket.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <future>

namespace farlet::shim {

namespace task = containerd::task::v2;

FakeMachine::FakeMachine()
    : exit_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      files_exit_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Result<BootedMachine> FakeMachine::Boot() {
  if (boot_error) {
    return *boot_error;
  }
  BootedMachine booted;
  booted.pid = 4711;
  booted.agent = guest.TakeAgent();
  booted.exit_fd = exit_.get();
  booted.files_exit_fd = files_exit_.get();
  booted.identity.set_hostname("pod");
  return booted;
}

Result<std::vector<guest::v1::Layer>> FakeMachine::PlaceRootfs(
    const std::vector<RootfsMount>& mounts) {
  if (mounts.empty()) {
    return InvalidArgument("no mounts");
  }
  std::vector<guest::v1::Layer> layers(1);
  layers.front().set_image_device("vdb");
  return layers;
}

Result<std::string> FakeMachine::Share(const SharedPath& path) {
  const std::lock_guard lock(mutex_);
  shared_.insert(path.host_path.filename().string() + (path.readonly ? " ro" : ""));
  return fmt::format("s/{}", shared_.size());
}

void FakeMachine::Unshare(const SharedPath& path) {
  const std::lock_guard lock(mutex_);
  shared_.erase(shared_.find(path.host_path.filename().string() + (path.readonly ? " ro" : "")));
}

std::multiset<std::string> FakeMachine::Shared() {
  const std::lock_guard lock(mutex_);
  return shared_;
}

Status FakeMachine::Kill() {
  killed_ = true;
  const uint64_t one = 1;
  if (::write(exit_.get(), &one, sizeof(one)) < 0) {
    return ErrnoError(errno, "kill");
  }
  guest.Die();
  return {};
}

void FakeMachine::Release() {
  std::call_once(once_, [this] { released.set_value(); });
}

void FakeMachine::EndFileServer() {
  ASSERT_EQ(::eventfd_write(files_exit_.get(), 1), 0);
}

FakeEvents::FakeEvents(const std::filesystem::path& socket) : server_(io_) {
  server_.Method<containerd::services::events::ttrpc::v1::ForwardRequest, wkt::Empty>(
      "containerd.services.events.ttrpc.v1.Events", "Forward",
      [this](containerd::services::events::ttrpc::v1::ForwardRequest request,
             ttrpc::Server::TypedReply<wkt::Empty> reply) {
        Note(request.envelope());
        reply(wkt::Empty());
      });
  auto listening = ttrpc::ListenUnix(socket.string(), 0600);
  EXPECT_TRUE(listening);
  server_.Listen(std::move(*listening));
  thread_ = std::thread([this] {
    const auto work = boost::asio::make_work_guard(io_);
    io_.run();
  });
}

FakeEvents::~FakeEvents() {
  boost::asio::post(io_, [this] {
    server_.Close();
    io_.stop();
  });
  thread_.join();
}

void FakeEvents::Note(const containerd::services::events::ttrpc::v1::Envelope& envelope) {
  EXPECT_EQ(envelope.namespace_(), "k8s.io");
  const std::string& value = envelope.event().value();
  const std::string topic = envelope.topic().substr(std::string_view("/tasks/").size());
  std::string text = topic;
  if (topic == "exit") {
    containerd::events::TaskExit event;
    EXPECT_TRUE(event.ParseFromString(value));
    text += fmt::format(" {} {} {}", event.container_id(), event.id(), event.exit_status());
  } else if (topic.starts_with("exec-")) {
    containerd::events::TaskExecStarted event;
    EXPECT_TRUE(event.ParseFromString(value));
    text += fmt::format(" {} {}", event.container_id(), event.exec_id());
  } else {
    containerd::events::TaskOOM event;  // the container is field 1 of all others
    EXPECT_TRUE(event.ParseFromString(value));
    text += " " + event.container_id();
  }
  const std::lock_guard lock(mutex_);
  events_.push_back(text);
  changed_.notify_all();
}

std::vector<std::string> FakeEvents::Wait(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(10), [&] { return events_.size() >= count; });
  return events_;
}

std::vector<std::string> FakeEvents::Now() {
  const std::lock_guard lock(mutex_);
  return events_;
}

ShimFixture::ShimFixture()
    : pool_(2), work_(io_.get_executor()), client_work_(client_io_.get_executor()) {
  std::string name = (std::filesystem::temp_directory_path() / "shim-XXXXXX").string();
  EXPECT_NE(::mkdtemp(name.data()), nullptr);
  folder_ = name;
  machine_ = std::make_shared<FakeMachine>();
  events_ = std::make_unique<FakeEvents>(folder_ / "events");
  const Threads threads{.io = io_, .pool = pool_};
  pod_ = std::make_shared<Pod>(threads, machine_, clock_);
  publisher_ = std::make_shared<EventPublisher>(
      io_, clock_,
      EventPublisher::Options{.address = (folder_ / "events").string(),
                              .containerd_namespace = "k8s.io"});
  service_ =
      std::make_shared<TaskService>(TaskService::Parts{.threads = threads,
                                                       .pod = pod_,
                                                       .events = publisher_,
                                                       .clock = clock_,
                                                       .facts = facts_,
                                                       .containerd_namespace = "k8s.io",
                                                       .cgroup_v2 = true,
                                                       .on_shutdown = [this](const auto& done) {
                                                         ++shutdowns_;
                                                         done();
                                                       }});
  server_ = std::make_unique<ttrpc::Server>(io_);
  service_->Register(*server_);
  std::array<int, 2> ends{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
  server_->Serve(UniqueFd(ends[0]));
  client_ = ttrpc::Client::Over(client_io_, UniqueFd(ends[1]));
  thread_ = std::thread([this] { io_.run(); });
  client_thread_ = std::thread([this] { client_io_.run(); });
}

ShimFixture::~ShimFixture() {
  client_->Close();
  boost::asio::post(io_, [this] {
    server_->Close();
    pod_->Kill();
  });
  // Calls to its guest keep the service alive, which keeps the pod, until it is gone.
  while (!IsPodGone()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // So does an event that is under way with its publisher.
  std::promise<void> flushed;
  boost::asio::post(io_, [&] {
    publisher_->Flush(std::chrono::milliseconds(2000), [&] { flushed.set_value(); });
  });
  flushed.get_future().wait();
  pool_.join();
  // What the pool posted last, and what that asks for, still finds its objects.
  boost::asio::post(io_, [this] { io_.stop(); });
  thread_.join();
  client_io_.stop();
  client_thread_.join();
  // They are declared before the contexts that they need to their end.
  client_.reset();
  pod_.reset();
  std::filesystem::remove_all(folder_);
}

bool ShimFixture::IsPodGone() {
  std::promise<bool> gone;
  boost::asio::post(io_, [&] { gone.set_value(pod_->state() == Pod::State::kGone); });
  return gone.get_future().get();
}

void ShimFixture::Boot() {
  boost::asio::post(io_, [this] { pod_->Boot(); });
}

std::filesystem::path ShimFixture::Bundle(const std::string& id,
                                          const std::string& kind,
                                          const std::vector<std::string>& args,
                                          const std::string& mounts) {
  nlohmann::json spec = {
      {"ociVersion", "1.0.2"},
      {"hostname", "pod"},
      {"process", {{"args", args}, {"cwd", "/"}, {"user", {{"uid", 0}, {"gid", 0}}}}},
      {"root", {{"path", "rootfs"}}},
      {"mounts", nlohmann::json::parse(mounts)},
      {"linux", {{"namespaces", {{{"type", "pid"}}, {{"type", "network"}}, {{"type", "ipc"}}}}}}};
  if (!kind.empty()) {
    spec["annotations"] = {{"io.kubernetes.cri.container-type", kind},
                           {"io.kubernetes.cri.sandbox-id", "sandbox"}};
  }
  const std::filesystem::path bundle = folder_ / "bundles" / id;
  std::filesystem::create_directories(bundle);
  EXPECT_TRUE(WriteFileAtomic(bundle / "config.json", spec.dump(), 0600));
  return bundle;
}

std::string ShimFixture::Fifo(const std::string& name) {
  const std::string path = (folder_ / name).string();
  EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
  return path;
}

Result<task::CreateTaskResponse> ShimFixture::Create(const std::string& id,
                                                     const std::filesystem::path& bundle,
                                                     const StdioNames& stdio) {
  task::CreateTaskRequest request;
  request.set_id(id);
  request.set_bundle(bundle.string());
  request.set_stdin(stdio.in);
  request.set_stdout(stdio.out);
  request.set_stderr(stdio.err);
  request.set_terminal(stdio.terminal);
  auto& mount = *request.add_rootfs();
  mount.set_type("overlay");
  mount.add_options("lowerdir=/a:/b");
  return Call<task::CreateTaskResponse>("Create", request);
}

Status ShimFixture::CreateSandbox() {
  Boot();
  const auto created = Create("sandbox", Bundle("sandbox", "sandbox"));
  if (!created) {
    return created.error();
  }
  EXPECT_EQ(created->pid(), 4711U);
  const auto started = Start("sandbox");
  return started ? Status() : Status(started.error());
}

Result<task::StartResponse> ShimFixture::Start(const std::string& id, const std::string& exec) {
  task::StartRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  return Call<task::StartResponse>("Start", request);
}

Result<task::DeleteResponse> ShimFixture::Delete(const std::string& id, const std::string& exec) {
  task::DeleteRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  return Call<task::DeleteResponse>("Delete", request);
}

Status ShimFixture::Exec(const std::string& id,
                         const std::string& exec,
                         const std::string& args_json,
                         const StdioNames& stdio) {
  task::ExecProcessRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  request.set_stdin(stdio.in);
  request.set_stdout(stdio.out);
  request.set_stderr(stdio.err);
  request.set_terminal(stdio.terminal);
  request.mutable_spec()->set_type_url("types.containerd.io/opencontainers/runtime-spec/1/Process");
  request.mutable_spec()->set_value(R"({"cwd":"/","args":)" + args_json + "}");
  const auto answer = Call<wkt::Empty>("Exec", request);
  return answer ? Status() : Status(answer.error());
}

Status ShimFixture::Kill(const std::string& id, uint32_t signal, const std::string& exec) {
  task::KillRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  request.set_signal(signal);
  const auto answer = Call<wkt::Empty>("Kill", request);
  return answer ? Status() : Status(answer.error());
}

Result<task::StateResponse> ShimFixture::State(const std::string& id, const std::string& exec) {
  task::StateRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  return Call<task::StateResponse>("State", request);
}

Result<uint32_t> ShimFixture::Wait(const std::string& id, const std::string& exec) {
  task::WaitRequest request;
  request.set_id(id);
  request.set_exec_id(exec);
  const auto answer = Call<task::WaitResponse>("Wait", request);
  if (!answer) {
    return answer.error();
  }
  return answer->exit_status();
}

}  // namespace farlet::shim
