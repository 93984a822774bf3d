#include "runtime/shim/volumes.h"

#include "runtime/base/log.h"
#include "runtime/shim/volume_reader.h"

#include <fmt/format.h>

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace farlet::shim {
namespace asio = boost::asio;

namespace {

// Of one request to the guest, which takes 1 MiB.
constexpr size_t kChunkBytes = 900u << 10;
// The kubelet changes several names for one update.
constexpr std::chrono::milliseconds kSettle{20};
constexpr std::chrono::milliseconds kFirstRetry{500};
constexpr std::chrono::milliseconds kMaxRetry{30000};
constexpr uint32_t kEvents =
    IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR;

}  // namespace

VolumeReplicator::VolumeReplicator(Threads threads, std::shared_ptr<Pod> pod)
    : threads_(threads), pod_(std::move(pod)) {}

void VolumeReplicator::Ensure(const std::string& container,
                              const std::vector<VolumeNeed>& volumes,
                              StatusCallback done) {
  // The last one that is there calls `done`, or the first that fails.
  struct Join {
    size_t left = 1;
    StatusCallback done;

    void Arrived(const Status& status) {
      --left;
      if (done && (left == 0 || !status)) {
        std::exchange(done, nullptr)(status);
      }
    }
  };

  const auto join = std::make_shared<Join>();
  join->done = std::move(done);
  for (const VolumeNeed& need : volumes) {
    const Result<VolumePtr> volume = Use(container, need);
    ++join->left;
    if (!volume) {
      join->Arrived(volume.error());
    } else if ((*volume)->synced) {
      join->Arrived({});
    } else {
      (*volume)->waiting.push_back([join](const Status& status) { join->Arrived(status); });
      Sync(*volume);
    }
  }
  join->Arrived({});
}

Result<VolumeReplicator::VolumePtr> VolumeReplicator::Use(const std::string& container,
                                                          const VolumeNeed& need) {
  FARLET_TRY(OpenInotify());
  VolumePtr& volume = volumes_[need.name];
  if (!volume) {
    volume = std::make_shared<Volume>(threads_.io);
    volume->name = need.name;
    volume->folder = need.host_path;
  }
  volume->users.insert(container);
  if (volume->watch < 0) {
    volume->watch = ::inotify_add_watch(inotify_->native_handle(), volume->folder.c_str(), kEvents);
    if (volume->watch < 0) {
      return ErrnoError(errno, "watch volume " + volume->folder.string());
    }
  }
  return volume;
}

void VolumeReplicator::Release(const std::string& container) {
  for (auto entry = volumes_.begin(); entry != volumes_.end();) {
    Volume& volume = *entry->second;
    volume.users.erase(container);
    if (!volume.users.empty()) {
      ++entry;
      continue;
    }
    volume.timer.cancel();
    if (inotify_ && volume.watch >= 0) {
      ::inotify_rm_watch(inotify_->native_handle(), volume.watch);
    }
    entry = volumes_.erase(entry);
  }
}

Status VolumeReplicator::OpenInotify() {
  if (inotify_) {
    return {};
  }
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    return ErrnoError(errno, "watch volumes");
  }
  inotify_.emplace(threads_.io, fd);
  ReadChanges();
  return {};
}

void VolumeReplicator::ReadChanges() {
  inotify_->async_wait(
      asio::posix::stream_descriptor::wait_read,
      [weak = weak_from_this()](const boost::system::error_code& error) {
        const auto self = weak.lock();
        if (error || !self) {
          return;
        }
        std::set<int> changed;
        alignas(inotify_event) std::array<char, 16384> buffer{};
        ssize_t count = 0;
        while ((count = ::read(self->inotify_->native_handle(), buffer.data(), buffer.size())) >
               0) {
          for (size_t at = 0; at + sizeof(inotify_event) <= static_cast<size_t>(count);) {
            inotify_event event{};
            std::memcpy(&event, buffer.data() + at, sizeof(event));
            changed.insert(event.wd);
            at += sizeof(event) + event.len;
          }
        }
        auto volumes = self->volumes_;
        for (const auto& [name, volume] : volumes) {
          // -1: the queue overflowed, anything may have changed.
          if (changed.contains(volume->watch) || changed.contains(-1)) {
            self->OnChange(volume);
          }
        }
        self->ReadChanges();
      });
}

void VolumeReplicator::OnChange(const VolumePtr& volume) {
  if (volume->syncing) {
    volume->changed = true;
    return;
  }
  volume->retry = std::chrono::milliseconds(0);
  SyncLater(volume, kSettle);
}

void VolumeReplicator::SyncLater(const VolumePtr& volume, std::chrono::milliseconds delay) {
  volume->timer.expires_after(delay);
  volume->timer.async_wait(
      [self = shared_from_this(), volume](const boost::system::error_code& error) {
        if (!error && !volume->users.empty()) {
          self->Sync(volume);
        }
      });
}

void VolumeReplicator::Sync(const VolumePtr& volume) {
  if (std::exchange(volume->syncing, true)) {
    return;
  }
  volume->changed = false;
  volume->generation = next_generation_++;
  using Requests = std::vector<guest::v1::SyncVolumeRequest>;
  RunBlocking<Requests>(
      threads_,
      [name = volume->name, folder = volume->folder,
       generation = volume->generation]() -> Result<Requests> {
        FARLET_ASSIGN(auto files, ReadVolume(folder));
        return CutIntoRequests(name, generation, std::move(files), kChunkBytes);
      },
      [self = shared_from_this(), volume](Result<Requests> requests) {
        if (!requests) {
          self->Synced(volume, requests.error());
          return;
        }
        self->Send(volume, std::make_shared<Requests>(std::move(*requests)), 0);
      });
}

void VolumeReplicator::Send(const VolumePtr& volume,
                            std::shared_ptr<std::vector<guest::v1::SyncVolumeRequest>> requests,
                            size_t next) {
  GuestAgent* const agent = pod_->agent();
  if (agent == nullptr) {
    Synced(volume, Unavailable("copy volume " + volume->name + ": the pod's VM is gone"));
    return;
  }
  const auto& request = (*requests)[next];
  agent->Call<guest::v1::SyncVolumeResponse>(
      "SyncVolume", request, kGuestDeadline,
      [self = shared_from_this(), volume, requests = std::move(requests),
       next](const Result<guest::v1::SyncVolumeResponse>& answer) mutable {
        if (!answer) {
          self->Synced(volume, Wrap("copy volume " + volume->name, answer.error()));
        } else if (next + 1 == requests->size()) {
          self->Synced(volume, {});
        } else {
          self->Send(volume, std::move(requests), next + 1);
        }
      });
}

void VolumeReplicator::Synced(const VolumePtr& volume, const Status& status) {
  volume->syncing = false;
  volume->synced = volume->synced || status.has_value();
  const bool first_try = !volume->waiting.empty();
  // What was exchanged while it was read is no reason to fail.
  if (!status && status.error().code == Code::kNotFound && volume->changed) {
    SyncLater(volume, kSettle);
    return;
  }
  for (const auto& waiting : std::exchange(volume->waiting, {})) {
    waiting(status);
  }
  if (volume->users.empty() || pod_->state() == Pod::State::kGone) {
    return;
  }
  if (volume->changed) {
    SyncLater(volume, kSettle);
  } else if (!status && !first_try) {
    volume->retry = std::clamp(volume->retry * 2, kFirstRetry, kMaxRetry);
    log::Warning("a volume in the guest is behind the host's",
                 {{"volume", volume->name}, {"error", status.error()}});
    SyncLater(volume, volume->retry);
  }
}

}  // namespace farlet::shim
