#pragma once

#include "runtime/base/gate.h"
#include "runtime/base/result.h"
#include "runtime/cri/client.h"
#include "runtime/cri/pod_store.h"

#include <map>
#include <memory>
#include <string>

namespace farlet::cri {

// Each pod's part of two complete lists, by the label io.kubernetes.pod.uid; the rest is dropped.
std::map<std::string, PodLists> GroupByPod(std::vector<Sandbox> sandboxes,
                                           std::vector<Container> containers);

// Lists the runtime's sandboxes and containers, all or those with the labels.
void ReadLists(Client& client,
               const std::shared_ptr<Gate>& gate,
               const StringMap& label_filter,
               Callback<std::map<std::string, PodLists>> done);

// Reads the status of what the lists show, except of what `known` (may be null) shows in a state
// that cannot change any more. What vanished meanwhile is left out. `done` is not called once the
// gate is closed.
void ReadStatuses(Client& client,
                  const std::shared_ptr<Gate>& gate,
                  const PodLists& lists,
                  const PodRuntimePtr& known,
                  Callback<PodFacts> done);

}  // namespace farlet::cri
