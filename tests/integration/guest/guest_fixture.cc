#include "tests/integration/guest/guest_fixture.h"

#include "runtime/ttrpc/unix_socket.h"

#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <utility>

namespace farlet::guest {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kStartTimeout{10};

void WriteFile(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

v1::Mount* AddMount(v1::CreateContainerRequest& request,
                    const std::string& destination,
                    const std::string& type,
                    const std::vector<std::string>& options) {
  v1::Mount* mount = request.add_mounts();
  mount->set_destination(destination);
  mount->set_type(type);
  mount->mutable_options()->Assign(options.begin(), options.end());
  return mount;
}

}  // namespace

void GuestTest::MakeImage() const {
  const fs::path image = fs::path(root_) / "share/s/1";
  for (const char* folder : {"bin", "etc", "proc", "sys", "dev", "tmp", "home/user"}) {
    fs::create_directories(image / folder);
  }
  fs::permissions(image / "tmp", fs::perms::all);
  fs::copy_file("/bin/busybox", image / "bin/busybox");
  for (const char* name :
       {"sh",    "cat",   "echo",     "id",       "ls",    "sleep", "stty", "tty",
        "mkdir", "mount", "umount",   "true",     "false", "wc",    "ps",   "kill",
        "touch", "grep",  "hostname", "readlink", "stat",  "mknod", "ip",   "nc",
        "dd",    "chmod", "env",      "pwd",      "head",  "ln",    "rm",   "df"}) {
    fs::create_symlink("busybox", image / "bin" / name);
  }
  WriteFile(image / "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
}

void GuestTest::SetUp() {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "makes namespaces and mounts: needs root";
  }
  std::string scratch = "/tmp/farlet-guest-XXXXXX";
  ASSERT_NE(::mkdtemp(scratch.data()), nullptr);
  root_ = scratch;
  socket_ = root_ + "/agent.sock";
  MakeImage();
  agent_ = ::fork();
  ASSERT_GE(agent_, 0);
  if (agent_ == 0) {
    ::execl(FARLET_GUEST_BINARY, "farlet-guest", "--serve", socket_.c_str(), "--root",
            root_.c_str(), nullptr);
    ::_exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + kStartTimeout;
  Result<UniqueFd> connection = ttrpc::ConnectUnix(socket_);
  while (!connection && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    connection = ttrpc::ConnectUnix(socket_);
  }
  ASSERT_TRUE(connection) << connection.error().message;
  client_ = ttrpc::Client::Over(context_, std::move(*connection));
  work_ = std::make_unique<decltype(work_)::element_type>(context_.get_executor());
  thread_ = std::thread([this] { context_.run(); });
}

void GuestTest::TearDown() {
  if (client_ != nullptr) {
    client_->Close();
  }
  work_.reset();
  context_.stop();
  if (thread_.joinable()) {
    thread_.join();
  }
  if (agent_ > 0) {
    ::kill(agent_, SIGTERM);
    int status = 0;
    ::waitpid(agent_, &status, 0);
  }
  if (!root_.empty()) {
    std::error_code error;
    fs::remove_all(root_, error);
    EXPECT_FALSE(error) << error.message();
  }
}

int GuestTest::WaitForAgent() {
  int status = 0;
  ::waitpid(std::exchange(agent_, -1), &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const std::vector<std::string>& GuestTest::AllCapabilities() {
  // What containerd gives a container by default.
  static const std::vector<std::string> names = {
      "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",     "CAP_MKNOD",
      "CAP_SETGID",  "CAP_SETUID",       "CAP_SETFCAP",          "CAP_SETPCAP",    "CAP_KILL",
      "CAP_NET_RAW", "CAP_SYS_CHROOT",   "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"};
  return names;
}

Status GuestTest::Prepare(v1::PrepareRequest request) {
  if (request.hostname().empty()) {
    request.set_hostname("pod-1");
  }
  auto response = Call<v1::PrepareResponse>("Prepare", request);
  return response ? Status() : Status(response.error());
}

v1::Process GuestTest::MakeProcess(const std::vector<std::string>& args) {
  v1::Process process;
  process.mutable_args()->Assign(args.begin(), args.end());
  process.add_env("PATH=/bin");
  process.set_cwd("/");
  const auto& names = AllCapabilities();
  for (auto* set : {process.mutable_capabilities()->mutable_bounding(),
                    process.mutable_capabilities()->mutable_effective(),
                    process.mutable_capabilities()->mutable_permitted()}) {
    set->Assign(names.begin(), names.end());
  }
  return process;
}

v1::CreateContainerRequest GuestTest::MakeContainer(const std::string& id,
                                                    const std::vector<std::string>& args) {
  v1::CreateContainerRequest request;
  request.set_id(id);
  request.mutable_rootfs()->add_layers()->set_share_path("s/1");
  *request.mutable_process() = MakeProcess(args);
  AddMount(request, "/proc", "proc", {"nosuid", "noexec", "nodev"});
  AddMount(request, "/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  AddMount(request, "/dev/pts", "devpts",
           {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  AddMount(request, "/sys", "sysfs", {"nosuid", "noexec", "nodev", "ro"});
  AddMount(request, "/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  return request;
}

v1::CreateContainerRequest GuestTest::MakeShell(const std::string& id, const std::string& script) {
  return MakeContainer(id, {"sh", "-c", script});
}

Result<uint32_t> GuestTest::Create(const v1::CreateContainerRequest& request) {
  auto response = Call<v1::CreateContainerResponse>("CreateContainer", request);
  if (!response) {
    return response.error();
  }
  return response->pid();
}

Status GuestTest::Start(const std::string& id) {
  v1::StartContainerRequest request;
  request.set_id(id);
  auto response = Call<v1::StartContainerResponse>("StartContainer", request);
  return response ? Status() : Status(response.error());
}

Result<uint32_t> GuestTest::Exec(const std::string& id,
                                 const std::string& exec_id,
                                 const v1::Process& process) {
  v1::ExecRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  *request.mutable_process() = process;
  auto response = Call<v1::ExecResponse>("Exec", request);
  if (!response) {
    return response.error();
  }
  return response->pid();
}

Result<v1::WaitResponse> GuestTest::Wait(const std::string& id, const std::string& exec_id) {
  v1::WaitRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  return Call<v1::WaitResponse>("Wait", request);
}

Status GuestTest::Signal(const std::string& id, int signal, const std::string& exec_id) {
  v1::SignalRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_signal(static_cast<uint32_t>(signal));
  auto response = Call<v1::SignalResponse>("Signal", request);
  return response ? Status() : Status(response.error());
}

Status GuestTest::Delete(const std::string& id) {
  v1::DeleteContainerRequest request;
  request.set_id(id);
  auto response = Call<v1::DeleteContainerResponse>("DeleteContainer", request);
  return response ? Status() : Status(response.error());
}

Result<v1::ReadOutputResponse> GuestTest::Read(const std::string& id,
                                               unsigned stream,
                                               const std::string& exec_id) {
  v1::ReadOutputRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_stream(stream);
  return Call<v1::ReadOutputResponse>("ReadOutput", request);
}

Status GuestTest::Write(const std::string& id,
                        const std::string& data,
                        const std::string& exec_id) {
  v1::WriteInputRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  request.set_data(data);
  auto response = Call<v1::WriteInputResponse>("WriteInput", request);
  return response ? Status() : Status(response.error());
}

std::string GuestTest::ReadAll(const std::string& id, unsigned stream, const std::string& exec_id) {
  std::string all;
  while (true) {
    auto chunk = Read(id, stream, exec_id);
    if (!chunk || chunk->eof()) {
      EXPECT_TRUE(chunk) << chunk.error().message;
      return all;
    }
    all += chunk->data();
  }
}

std::string GuestTest::ReadUntil(const std::string& id,
                                 const std::string& text,
                                 const std::string& exec_id) {
  std::string all;
  while (all.find(text) == std::string::npos) {
    auto chunk = Read(id, 1, exec_id);
    if (!chunk || chunk->eof()) {
      ADD_FAILURE() << "no \"" << text << "\" in \"" << all << "\"";
      return all;
    }
    all += chunk->data();
  }
  return all;
}

Result<Outcome> GuestTest::Run(const v1::CreateContainerRequest& request) {
  const std::string& id = request.id();
  FARLET_TRY(Create(request));
  FARLET_TRY(Start(id));
  Outcome outcome;
  outcome.out = ReadAll(id, 1);
  outcome.err = ReadAll(id, 2);
  FARLET_ASSIGN(const auto exit, Wait(id));
  outcome.status = exit.exit_status();
  FARLET_TRY(Delete(id));
  return outcome;
}

Result<Outcome> GuestTest::RunExec(const std::string& id, const v1::Process& process) {
  const std::string exec_id = "exec-" + std::to_string(++execs_);
  FARLET_TRY(Exec(id, exec_id, process));
  Outcome outcome;
  outcome.out = ReadAll(id, 1, exec_id);
  outcome.err = ReadAll(id, 2, exec_id);
  FARLET_ASSIGN(const auto exit, Wait(id, exec_id));
  outcome.status = exit.exit_status();
  v1::DeleteExecRequest request;
  request.set_container_id(id);
  request.set_exec_id(exec_id);
  FARLET_TRY(Call<v1::DeleteExecResponse>("DeleteExec", request));
  return outcome;
}

}  // namespace farlet::guest
