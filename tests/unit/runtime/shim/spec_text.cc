#include "tests/unit/runtime/shim/spec_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace farlet::shim {
namespace {

class Text {
 public:
  template <class Value>
  void Line(std::string_view name, const Value& value) {
    text_ += fmt::format("{}: {}\n", name, value);
  }

  template <class List>
  void Words(std::string_view name, const List& list) {
    if (!list.empty()) {
      Line(name, fmt::format("{}", fmt::join(list, " ")));
    }
  }

  template <class Map>
  void Pairs(std::string_view name, const Map& map) {
    for (const auto& [key, value] : std::map<std::string, std::string>(map.begin(), map.end())) {
      Line(name, key + "=" + value);
    }
  }

  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
};

void DescribeProcess(Text& text, const guest::v1::Process& process) {
  text.Words("args", process.args());
  text.Words("env", process.env());
  text.Line("cwd", process.cwd());
  if (process.terminal()) {
    text.Line("terminal", fmt::format("{}x{}", process.console_size().columns(),
                                      process.console_size().rows()));
  }
  text.Line("user", fmt::format("{}:{} {}", process.user().uid(), process.user().gid(),
                                fmt::join(process.user().additional_gids(), ",")));
  if (process.user().has_umask()) {
    text.Line("umask", fmt::format("{:04o}", process.user().umask()));
  }
  const auto& capabilities = process.capabilities();
  text.Words("bounding", capabilities.bounding());
  text.Words("effective", capabilities.effective());
  text.Words("inheritable", capabilities.inheritable());
  text.Words("permitted", capabilities.permitted());
  text.Words("ambient", capabilities.ambient());
  for (const auto& limit : process.rlimits()) {
    text.Line("rlimit", fmt::format("{} {} {}", limit.type(), limit.soft(), limit.hard()));
  }
  text.Line("no_new_privileges", process.no_new_privileges());
  if (process.has_oom_score_adj()) {
    text.Line("oom_score_adj", process.oom_score_adj());
  }
}

std::string OriginOf(const guest::v1::Mount& mount) {
  switch (mount.origin_case()) {
    case guest::v1::Mount::kSharePath:
      return "share " + mount.share_path();
    case guest::v1::Mount::kVolume:
      return "volume " + mount.volume();
    case guest::v1::Mount::kEmptyDir: {
      const auto& dir = mount.empty_dir();
      return fmt::format("emptydir {} {} size={} mode={:o} {}:{}", dir.name(),
                         dir.memory() ? "memory" : "disk", dir.size_bytes(), dir.mode(), dir.uid(),
                         dir.gid());
    }
    case guest::v1::Mount::kShm:
      return "shm";
    case guest::v1::Mount::ORIGIN_NOT_SET:
      break;
  }
  return mount.type().empty() ? "share (to be filled in)" : mount.type();
}

void DescribeResources(Text& text, const guest::v1::Resources& resources) {
  if (resources.has_cpu_quota_us()) {
    text.Line("cpu.max", fmt::format("{} {}", resources.cpu_quota_us(), resources.cpu_period_us()));
  }
  if (resources.has_cpu_weight()) {
    text.Line("cpu.weight", resources.cpu_weight());
  }
  if (resources.has_memory_max()) {
    text.Line("memory.max", resources.memory_max());
  }
  if (resources.has_memory_low()) {
    text.Line("memory.low", resources.memory_low());
  }
  if (resources.has_memory_swap_max()) {
    text.Line("memory.swap.max", resources.memory_swap_max());
  }
  if (resources.has_pids_max()) {
    text.Line("pids.max", resources.pids_max());
  }
  text.Pairs("unified", resources.unified());
}

void DescribeSeccomp(Text& text, const guest::v1::Seccomp& seccomp) {
  text.Line("seccomp", seccomp.default_action());
  text.Words("architectures", seccomp.architectures());
  text.Words("flags", seccomp.flags());
  for (const auto& rule : seccomp.syscalls()) {
    std::string line = fmt::format("{} {}", rule.action(), fmt::join(rule.names(), ","));
    if (rule.has_errno_ret()) {
      line += fmt::format(" errno={}", rule.errno_ret());
    }
    for (const auto& arg : rule.args()) {
      line += fmt::format(" arg{} {} {} {}", arg.index(), arg.op(), arg.value(), arg.value_two());
    }
    text.Line("rule", line);
  }
}

std::string DeviceNumber(bool given, int64_t number) {
  return given ? std::to_string(number) : "*";
}

}  // namespace

std::string Describe(const ContainerPlan& plan) {
  Text text;
  const auto& request = plan.request;
  text.Line("id", request.id());
  text.Line("rootfs", request.rootfs().readonly() ? "readonly" : "writable");
  DescribeProcess(text, request.process());
  for (const auto& mount : request.mounts()) {
    std::string line = fmt::format("{} <- {}", mount.destination(), OriginOf(mount));
    if (!mount.sub_path().empty()) {
      line += " / " + mount.sub_path();
    }
    text.Line("mount", fmt::format("{} [{}]", line, fmt::join(mount.options(), ",")));
  }
  for (const auto& share : plan.shares) {
    text.Line("share", fmt::format("{} {} {}", share.mount, share.host_path.string(),
                                   share.readonly ? "ro" : "rw"));
  }
  for (const auto& volume : plan.volumes) {
    text.Line("volume", volume.name + " " + volume.host_path.string());
  }
  text.Line("pid", guest::v1::Namespaces::Pid_Name(request.namespaces().pid()));
  text.Words("masked", request.masked_paths());
  text.Words("readonly", request.readonly_paths());
  for (const auto& device : request.devices()) {
    text.Line("device", fmt::format("{} {} {}:{} {:o}", device.path(), device.type(),
                                    device.major(), device.minor(), device.file_mode()));
  }
  for (const auto& rule : request.device_rules()) {
    text.Line("device_rule",
              fmt::format("{} {} {}:{} {}", rule.allow() ? "allow" : "deny", rule.type(),
                          DeviceNumber(rule.has_major(), rule.major()),
                          DeviceNumber(rule.has_minor(), rule.minor()), rule.access()));
  }
  text.Pairs("sysctl", request.sysctls());
  if (!request.rootfs_propagation().empty()) {
    text.Line("propagation", request.rootfs_propagation());
  }
  if (request.has_seccomp()) {
    DescribeSeccomp(text, request.seccomp());
  }
  DescribeResources(text, request.resources());
  return text.Take();
}

}  // namespace farlet::shim
