// How long a VM takes from Start to its guest's first answer, cloned and booted, and what it costs:
//
//   farlet_vm_bench [STARTS [AT_ONCE [VMS [TEMPLATE_FOLDER]]]]
//
// STARTS one after another (10), then AT_ONCE at the same time (4), then VMS idle ones for their
// share of memory (10). Needs root. Prints a table in Markdown.

#include "runtime/base/log.h"
#include "tests/integration/vm/guest_line.h"
#include "tests/integration/vm/host.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace farlet::vm {
namespace {

using std::chrono::steady_clock;

struct Times {
  std::vector<double> started;
  std::vector<double> answered;
  int failed = 0;
};

double MillisecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

struct Sample {
  double started = 0;
  double answered = 0;
  std::unique_ptr<Vm> vm;
};

Sample StartOne(VmFactory& factory, TestHost& host, bool cold) {
  VmOptions options{.size = {1, 256}, .cold_boot = cold, .work_dir = host.NewWorkDir()};
  const auto start = steady_clock::now();
  auto vm = factory.Start(std::move(options));
  Sample sample{.started = MillisecondsSince(start)};
  if (!vm) {
    log::Error("no VM", {{"error", vm.error()}});
    return sample;
  }
  GuestLine guest((*vm)->TakeAgent());
  if (guest.Ask("hello") == "ready") {
    sample.answered = MillisecondsSince(start);
    sample.vm = std::move(*vm);
  }
  return sample;
}

void Add(Times& times, const Sample& sample) {
  if (!sample.vm) {
    ++times.failed;
    return;
  }
  times.started.push_back(sample.started);
  times.answered.push_back(sample.answered);
}

std::string Summary(std::vector<double> values) {
  if (values.empty()) {
    return "– | –";
  }
  std::ranges::sort(values);
  return fmt::format("{:.0f} / {:.0f} / {:.0f}", values.front(), values[values.size() / 2],
                     values.back());
}

void Print(const std::string& name, const Times& times) {
  fmt::print("| {} | {} | {} | {} of {} |\n", name, Summary(times.started), Summary(times.answered),
             times.answered.size(), times.answered.size() + static_cast<size_t>(times.failed));
  (void)std::fflush(stdout);
}

Times OneByOne(VmFactory& factory, TestHost& host, bool cold, int count) {
  Times times;
  for (int i = 0; i < count; ++i) {
    Add(times, StartOne(factory, host, cold));
  }
  return times;
}

Times AtOnce(VmFactory& factory, TestHost& host, int count) {
  std::vector<std::future<Sample>> samples;
  for (int i = 0; i < count; ++i) {
    samples.push_back(
        std::async(std::launch::async, [&] { return StartOne(factory, host, false); }));
  }
  Times times;
  for (auto& sample : samples) {
    Add(times, sample.get());
  }
  return times;
}

void PrintMemory(VmFactory& factory, TestHost& host, size_t count, bool cold) {
  std::vector<Sample> samples;
  while (samples.size() < count) {
    samples.push_back(StartOne(factory, host, cold));
  }
  std::this_thread::sleep_for(std::chrono::seconds(3));  // idle
  uint64_t proportional = 0;
  uint64_t anonymous = 0;
  size_t alive = 0;
  for (const Sample& sample : samples) {
    if (sample.vm) {
      ++alive;
      proportional += ProportionalKib(sample.vm->pid());
      anonymous += AnonymousKib(sample.vm->pid());
    }
  }
  fmt::print("{} idle {}: {:.1f} MiB PSS and {:.1f} MiB private anonymous memory each\n", alive,
             cold ? "booted" : "cloned",
             static_cast<double>(proportional) / static_cast<double>(alive) / 1024,
             static_cast<double>(anonymous) / static_cast<double>(alive) / 1024);
  (void)std::fflush(stdout);
}

int Main(const std::vector<std::string>& arguments) {
  const auto number = [&](size_t index, int otherwise) {
    return arguments.size() > index ? std::atoi(arguments[index].c_str()) : otherwise;
  };
  TestHost host;
  if (!host.Prepare()) {
    fmt::print(stderr, "{}\n", host.error());
    return 1;
  }
  HostConfig config = host.config();
  if (arguments.size() > 3) {
    config.template_dir = arguments[3];
  }
  auto factory = VmFactory::Create(config, TestHandshake());
  if (!factory) {
    fmt::print(stderr, "{}\n", factory.error().message);
    return 1;
  }
  const int starts = number(0, 10);
  fmt::print("acceleration: {} ({})\n\n", AccelerationName((*factory)->acceleration().kind),
             (*factory)->acceleration().reason);
  fmt::print(
      "| min / median / max ms | Start returned | first answer | good |\n| --- | --- | --- | --- "
      "|\n");
  const auto start = steady_clock::now();
  if (const Status built = (*factory)->EnsureTemplate({1, 256}, 0); !built) {
    fmt::print(stderr, "{}\n", built.error().message);
    return 1;
  }
  fmt::print("| template, built once | {:.0f} | | |\n", MillisecondsSince(start));
  Print("clone", OneByOne(**factory, host, false, starts));
  Print("cold boot", OneByOne(**factory, host, true, std::max(starts / 2, 1)));
  Print(fmt::format("{} clones at once", number(1, 4)), AtOnce(**factory, host, number(1, 4)));
  fmt::print("\n");
  PrintMemory(**factory, host, 1, false);
  PrintMemory(**factory, host, static_cast<size_t>(number(2, 10)), false);
  PrintMemory(**factory, host, 1, true);
  return 0;
}

}  // namespace
}  // namespace farlet::vm

int main(int argc, char** argv) {
  return farlet::vm::Main({argv + 1, argv + argc});
}
