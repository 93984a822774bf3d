#include "runtime/cri/pod_reader.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

namespace farlet::cri {
namespace {

// Collects the answers of several calls; ends with the last one, or with an error of theirs.
template <class Value>
class Gather {
 public:
  Gather(std::shared_ptr<Gate> gate, int expected, Callback<Value> done)
      : gate_(std::move(gate)), expected_(expected), done_(std::move(done)) {}

  // `take` adds an answer to the value or returns its error; null to add nothing.
  template <class Take>
  void Add(Take take) {
    const auto pass = gate_->Enter();
    if (!pass) {
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      Status taken = take(value_);
      if (!taken && !error_) {
        error_ = std::move(taken).error();
      }
      if (--expected_ > 0) {
        return;
      }
    }
    if (error_) {
      done_(std::move(*error_));
    } else {
      done_(std::move(value_));
    }
  }

 private:
  const std::shared_ptr<Gate> gate_;
  std::mutex mutex_;  // guards all below
  int expected_;
  Value value_;
  std::optional<Error> error_;
  const Callback<Value> done_;
};

struct Lists {
  std::vector<Sandbox> sandboxes;
  std::vector<Container> containers;
};

// Moves an answer into `to`.
template <class Answer, class To>
Status Take(Answer answer, To& to) {
  if (!answer) {
    return std::move(answer).error();
  }
  to = std::move(*answer);
  return {};
}

const std::string* UidOf(const StringMap& labels) {
  const auto found = labels.find(labels::kPodUid);
  return found == labels.end() || found->second.empty() ? nullptr : &found->second;
}

const SandboxStatus* FinalSandbox(const PodRuntimePtr& known, const Sandbox& listed) {
  if (!known) {
    return nullptr;
  }
  const auto found =
      std::find_if(known->sandboxes.begin(), known->sandboxes.end(),
                   [&](const SandboxStatus& status) { return status.sandbox.id == listed.id; });
  if (found == known->sandboxes.end() || found->sandbox.state != listed.state) {
    return nullptr;
  }
  // The addresses are given before a sandbox becomes ready.
  return listed.state == SandboxState::kNotReady || !found->ips.empty() ? &*found : nullptr;
}

const PodContainer* FinalContainer(const PodRuntimePtr& known, const Container& listed) {
  if (!known || listed.state != ContainerState::kExited) {
    return nullptr;
  }
  const auto found = std::find_if(known->containers.begin(), known->containers.end(),
                                  [&](const PodContainer& container) {
                                    return container.status.id == listed.id &&
                                           container.status.state == ContainerState::kExited;
                                  });
  return found == known->containers.end() ? nullptr : &*found;
}

}  // namespace

std::map<std::string, PodLists> GroupByPod(std::vector<Sandbox> sandboxes,
                                           std::vector<Container> containers) {
  std::map<std::string, PodLists> pods;
  for (Sandbox& sandbox : sandboxes) {
    if (const std::string* uid = UidOf(sandbox.labels)) {
      pods[*uid].sandboxes.push_back(std::move(sandbox));
    }
  }
  for (Container& container : containers) {
    if (const std::string* uid = UidOf(container.labels)) {
      pods[*uid].containers.push_back(std::move(container));
    }
  }
  return pods;
}

void ReadLists(Client& client,
               const std::shared_ptr<Gate>& gate,
               const StringMap& label_filter,
               Callback<std::map<std::string, PodLists>> done) {
  const auto gather =
      std::make_shared<Gather<Lists>>(gate, 2, [done = std::move(done)](Result<Lists> lists) {
        if (!lists) {
          done(std::move(lists).error());
          return;
        }
        done(GroupByPod(std::move(lists->sandboxes), std::move(lists->containers)));
      });
  client.ListPodSandbox(label_filter, [gather](Result<std::vector<Sandbox>> answer) {
    gather->Add([&](Lists& lists) {
      return Take(Annotate(std::move(answer), "list sandboxes"), lists.sandboxes);
    });
  });
  client.ListContainers(label_filter, [gather](Result<std::vector<Container>> answer) {
    gather->Add([&](Lists& lists) {
      return Take(Annotate(std::move(answer), "list containers"), lists.containers);
    });
  });
}

void ReadStatuses(Client& client,
                  const std::shared_ptr<Gate>& gate,
                  const PodLists& lists,
                  const PodRuntimePtr& known,
                  Callback<PodFacts> done) {
  const auto calls = static_cast<int>(lists.sandboxes.size() + lists.containers.size());
  // One more for ourselves, so that it does not end before all calls are out.
  const auto gather = std::make_shared<Gather<PodFacts>>(gate, calls + 1, std::move(done));
  const auto add = [gather](auto PodFacts::*to, auto value) {
    gather->Add([&](PodFacts& facts) -> Status {
      (facts.*to).push_back(std::move(value));
      return {};
    });
  };
  const auto fail = [gather](Error error) {
    gather->Add([&](PodFacts& /*facts*/) -> Status {
      return error.code == Code::kNotFound ? Status() : Status(std::move(error));
    });
  };
  for (const Sandbox& sandbox : lists.sandboxes) {
    if (const SandboxStatus* final_status = FinalSandbox(known, sandbox)) {
      add(&PodFacts::sandboxes, *final_status);
      continue;
    }
    client.PodSandboxStatus(sandbox.id, [add, fail](Result<SandboxStatus> answer) {
      if (answer) {
        add(&PodFacts::sandboxes, std::move(*answer));
      } else {
        fail(Wrap("read sandbox status", std::move(answer).error()));
      }
    });
  }
  for (const Container& container : lists.containers) {
    if (const PodContainer* final_status = FinalContainer(known, container)) {
      add(&PodFacts::containers, *final_status);
      continue;
    }
    client.ContainerStatus(container.id, [add, fail, sandbox = container.sandbox_id](
                                             Result<ContainerStatus> answer) {
      if (answer) {
        add(&PodFacts::containers, PodContainer{.sandbox = sandbox, .status = std::move(*answer)});
      } else {
        fail(Wrap("read container status", std::move(answer).error()));
      }
    });
  }
  gather->Add([](PodFacts& /*facts*/) -> Status { return {}; });
}

}  // namespace farlet::cri
