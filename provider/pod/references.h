#pragma once

#include "kube/api/pod.h"
#include "kube/watch/object_cache.h"

#include <functional>
#include <vector>

namespace farlet::pod {

// Every ConfigMap and Secret that the pod names: env, envFrom, volumes, image pull secrets.
std::vector<kube::ObjectKey> ReferencedObjects(const kube::Pod& pod);

// How pure functions read them: see kube::ObjectCache::Get.
using ObjectLookup = std::function<kube::ObjectCache::Lookup(const kube::ObjectKey&)>;

}  // namespace farlet::pod
