#pragma once

#include "runtime/shim/background.h"
#include "runtime/shim/pod.h"
#include "runtime/shim/spec/mounts.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace farlet::shim {

// Keeps volumes of the API (configMap, secret, projected, downward API) in the guest equal to those
// on the host: copied before the first container that mounts one is created, and again whenever the
// kubelet exchanges "..data", which inotify tells. A copy that fails later is tried again; one that
// fails at first is the container's error. I/O thread only.
class VolumeReplicator final : public std::enable_shared_from_this<VolumeReplicator> {
 public:
  VolumeReplicator(Threads threads, std::shared_ptr<Pod> pod);

  // `container` uses `volumes` from now on; calls `done` when the guest has them.
  void Ensure(const std::string& container,
              const std::vector<VolumeNeed>& volumes,
              StatusCallback done);
  // It does not use them any more. A volume without users is not watched.
  void Release(const std::string& container);

 private:
  struct Volume {
    explicit Volume(boost::asio::io_context& io) : timer(io) {}

    std::string name;
    std::filesystem::path folder;
    std::set<std::string> users;
    int watch = -1;
    uint64_t generation = 0;
    bool synced = false;  // the guest has some version
    bool syncing = false;
    bool changed = false;  // while syncing
    std::chrono::milliseconds retry{0};
    std::vector<StatusCallback> waiting;
    boost::asio::steady_timer timer;
  };

  using VolumePtr = std::shared_ptr<Volume>;

  Result<VolumePtr> Use(const std::string& container, const VolumeNeed& need);
  Status OpenInotify();
  void ReadChanges();
  void OnChange(const VolumePtr& volume);
  void SyncLater(const VolumePtr& volume, std::chrono::milliseconds delay);
  void Sync(const VolumePtr& volume);
  void Send(const VolumePtr& volume,
            std::shared_ptr<std::vector<guest::v1::SyncVolumeRequest>> requests,
            size_t next);
  void Synced(const VolumePtr& volume, const Status& status);

  const Threads threads_;
  const std::shared_ptr<Pod> pod_;
  std::optional<boost::asio::posix::stream_descriptor> inotify_;
  std::map<std::string, VolumePtr> volumes_;
  uint64_t next_generation_ = 1;
};

}  // namespace farlet::shim
