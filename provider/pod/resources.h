#pragma once

#include "kube/api/pod.h"
#include "provider/pod/node_context.h"
#include "runtime/cri/types.h"

namespace farlet::pod {

// What a whole pod asks for, without its overhead: the larger of what its containers need together
// and what its init containers need one after the other, sidecars counted into both.
kube::ResourceList PodRequests(const kube::PodSpec& spec);
kube::ResourceList PodLimits(const kube::PodSpec& spec);

// What the scheduler reserved: PodRequests() and the overhead.
kube::ResourceList PodReservation(const kube::PodSpec& spec);

// cgroup settings (kubelet-contract B7, "linux.resources").
cri::LinuxResources ContainerResources(const kube::Pod& pod,
                                       const kube::Container& container,
                                       const NodeContext& node);
// Of all containers together, for runtimes that size a virtual machine by it; what `machine` says
// stands instead of the containers' limits.
cri::LinuxResources SandboxResources(const kube::PodSpec& spec, const MachineSize& machine);
cri::LinuxResources OverheadResources(const kube::PodSpec& spec);

}  // namespace farlet::pod
