#include "kube/watch/list_watch.h"

#include "runtime/base/gate.h"
#include "runtime/base/log.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <random>
#include <utility>

namespace farlet::kube {
namespace {

constexpr seconds kLogInterval(60);
// A watch that ends sooner, without an event, did not really begin (client-go: "very short watch").
constexpr seconds kShortestWatch(1);

bool IsExpired(const Error& error) {
  return error.code == Code::kOutOfRange || error.http_status == 410;
}

// The server's cache has not reached (or, after a restored backup, never will reach) the version
// that we asked for.
bool IsTooLargeResourceVersion(const Error& error) {
  return error.message.find("Too large resource version") != std::string::npos;
}

const std::string& StringAt(const Json& object, const char* member) {
  static const std::string kEmpty;
  if (!object.is_object()) {
    return kEmpty;
  }
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get_ref<const std::string&>()
                                                     : kEmpty;
}

const std::string& ResourceVersionOf(const Json& object) {
  static const Json kNone = Json::object();
  const auto meta = object.is_object() ? object.find("metadata") : object.end();
  return StringAt(object.is_object() && meta != object.end() ? *meta : kNone, "resourceVersion");
}

void DropManagedFields(Json& object) {
  if (!object.is_object()) {
    return;
  }
  const auto meta = object.find("metadata");
  if (meta != object.end() && meta->is_object()) {
    meta->erase("managedFields");
  }
}

}  // namespace

// Steps follow each other: at any time at most one of {a Get, a watch stream, a timer} is
// outstanding, so what the steps use needs no lock.
class ListWatch::Impl : public std::enable_shared_from_this<ListWatch::Impl> {
 public:
  Impl(Client& client,
       const Clock& clock,
       TimerService& timers,
       ListWatchOptions options,
       Handler handler)
      : client_(client),
        clock_(clock),
        timers_(timers),
        options_(std::move(options)),
        handler_(std::move(handler)),
        backoff_(options_.backoff) {}

  Gate& gate() { return gate_; }

  void Start() {
    EnterStep(weak_from_this(), [](Impl& self) {
      if (!std::exchange(self.started_, true)) {
        self.List();
      }
    });
  }

  void Stop() {
    gate_.Close();
    std::unique_ptr<WatchStream> stream;
    {
      const std::lock_guard lock(mutex_);
      if (timer_) {
        timers_.Cancel(*timer_);
        timer_.reset();
      }
      stream = std::move(stream_);
    }
    // Here, without the mutex, it ends.
  }

  bool synced() const {
    const std::lock_guard lock(mutex_);
    return synced_;
  }

  SteadyTime last_contact() const {
    const std::lock_guard lock(mutex_);
    return last_contact_;
  }

 private:
  enum class Next { kList, kWatch };

  void Contact() {
    const std::lock_guard lock(mutex_);
    last_contact_ = clock_.Now();
  }

  // The state "listing".
  void List() {
    items_.clear();
    continue_.clear();
    ListPage();
  }

  void ListPage() {
    Query query = options_.query;
    if (!continue_.empty()) {
      query["continue"] = continue_;
    } else if (!list_version_.empty()) {
      query["resourceVersion"] = list_version_;
      if (list_version_ != "0") {
        query["resourceVersionMatch"] = "NotOlderThan";
      }
    }
    if (!whole_list_) {
      query["limit"] = std::to_string(options_.page_size);
    }
    // The back-off is ours, so that it is visible and lasts for ever.
    const CallOptions call{.retry = false};
    client_.Get(options_.path, query, call, [weak = weak_from_this()](Result<Json> page) {
      EnterStep(weak, [&](Impl& self) { self.OnPage(std::move(page)); });
    });
  }

  void OnPage(Result<Json> page) {
    if (!page) {
      OnListError(page.error());
      return;
    }
    Contact();
    if (!page->is_object()) {
      OnListError(Internal("the answer is not a list"));
      return;
    }
    const auto items = page->find("items");
    if (items != page->end() && items->is_array()) {
      for (Json& item : *items) {
        DropManagedFields(item);
        items_.push_back(std::move(item));
      }
    }
    const std::string version = ResourceVersionOf(*page);
    const auto meta = page->find("metadata");
    continue_ = meta != page->end() ? StringAt(*meta, "continue") : std::string();
    if (!continue_.empty()) {
      ListPage();
      return;
    }
    OnListComplete(version);
  }

  void OnListComplete(const std::string& version) {
    Recovered();
    resource_version_ = version;
    list_version_ = version;
    whole_list_ = false;
    handler_(Change{Change::Kind::kReplace, std::exchange(items_, {})});
    {
      const std::lock_guard lock(mutex_);
      synced_ = true;
    }
    Watch();
  }

  void OnListError(const Error& error) {
    if (IsExpired(error) && !continue_.empty()) {
      // The pages outlived the server's memory: take everything at once, as client-go's pager does.
      whole_list_ = true;
    } else if (IsExpired(error) || IsTooLargeResourceVersion(error)) {
      list_version_.clear();
    }
    Failed("list", error);
    WaitThen(Next::kList, error);
  }

  // The state "watching".
  void Watch() {
    WatchOptions options{.query = options_.query};
    options.query["resourceVersion"] = resource_version_;
    options.query["allowWatchBookmarks"] = "true";
    const int64_t shortest = options_.watch_timeout_min.count();
    std::uniform_int_distribution<int64_t> timeout(shortest, 2 * shortest);
    options.query["timeoutSeconds"] = std::to_string(timeout(random_));
    watch_start_ = clock_.Now();
    watch_had_event_ = false;

    WatchHandlers handlers;
    handlers.on_event = [weak = weak_from_this()](Json event) {
      EnterStep(weak, [&](Impl& self) { self.OnEvent(std::move(event)); });
    };
    handlers.on_end = [weak = weak_from_this()](Status end) {
      EnterStep(weak, [&](Impl& self) { self.OnEnd(std::move(end)); });
    };
    uint64_t turn = 0;
    {
      const std::lock_guard lock(mutex_);
      turn = ++turn_;
    }
    // The handlers may run, and even the next step may, before Watch() has returned.
    std::unique_ptr<WatchStream> stream =
        client_.Watch(options_.path, options, std::move(handlers));
    const std::lock_guard lock(mutex_);
    if (turn == turn_) {
      stream_ = std::move(stream);
    }
  }

  void OnEvent(Json event) {
    Contact();
    watch_had_event_ = true;
    Recovered();
    const std::string type = StringAt(event, "type");
    const auto object = event.is_object() ? event.find("object") : event.end();
    if (!event.is_object() || object == event.end()) {
      log::Warning("a watch event without an object was ignored", {{"path", options_.path}});
      return;
    }
    if (const std::string& version = ResourceVersionOf(*object); !version.empty()) {
      resource_version_ = version;
      list_version_ = version;
    }
    DropManagedFields(*object);
    if (type == "ADDED" || type == "MODIFIED") {
      Deliver(Change::Kind::kUpsert, std::move(*object));
    } else if (type == "DELETED") {
      Deliver(Change::Kind::kDelete, std::move(*object));
    } else if (type != "BOOKMARK") {
      log::Warning("a watch event of an unknown type was ignored",
                   {{"path", options_.path}, {"type", type}});
    }
  }

  void Deliver(Change::Kind kind, Json object) {
    Change change{.kind = kind};
    change.objects.push_back(std::move(object));
    handler_(std::move(change));
  }

  void OnEnd(Status end) {
    const bool immediate = !watch_had_event_ && clock_.Now() - watch_start_ < kShortestWatch;
    if (end && immediate) {
      end = Unavailable("the server closed the watch as soon as it was opened");
    }
    if (end) {
      Schedule(Next::kWatch, milliseconds(0));
      return;
    }
    const Error& error = end.error();
    if (IsExpired(error)) {
      log::Info("the watch fell behind, listing again", {{"path", options_.path}});
      Schedule(Next::kList, milliseconds(0));
      return;
    }
    Failed("watch", error);
    const bool unusable_version = error.http_status == 400 || IsTooLargeResourceVersion(error);
    WaitThen(unusable_version ? Next::kList : Next::kWatch, error);
  }

  // The state "waiting".
  void WaitThen(Next next, const Error& error) {
    Schedule(next, std::max(backoff_.Next(), error.retry_after.value_or(milliseconds(0))));
  }

  void Schedule(Next next, milliseconds delay) {
    const std::lock_guard lock(mutex_);
    timer_ = timers_.After(delay, [weak = weak_from_this(), next] {
      EnterStep(weak, [next](Impl& self) { self.Continue(next); });
    });
  }

  // On the timer's thread, where the ended stream may be destroyed.
  void Continue(Next next) {
    std::unique_ptr<WatchStream> ended;
    {
      const std::lock_guard lock(mutex_);
      timer_.reset();
      ++turn_;
      ended = std::move(stream_);
    }
    ended.reset();
    if (next == Next::kList) {
      List();
    } else {
      Watch();
    }
  }

  std::string Selector() const {
    const auto found = options_.query.find("fieldSelector");
    return found != options_.query.end() ? found->second : std::string();
  }

  // Says the first failure and then one a minute, unless it is one to be expected.
  void Failed(const char* what, const Error& error) {
    ++failures_;
    const SteadyTime now = clock_.Now();
    const bool expected =
        options_.may_be_missing && (error.http_status == 403 || error.http_status == 404);
    if (failures_ == 1 || (!expected && now - last_logged_ >= kLogInterval)) {
      last_logged_ = now;
      log::Warning(std::string(what) + " failed, trying again", {{"path", options_.path},
                                                                 {"selector", Selector()},
                                                                 {"failures", failures_},
                                                                 {"error", error}});
    }
    if (options_.on_error) {
      options_.on_error(error);
    }
  }

  void Recovered() {
    if (failures_ > 0) {
      log::Info("list and watch work again", {{"path", options_.path}, {"failures", failures_}});
      failures_ = 0;
    }
    backoff_.Reset();
  }

  Client& client_;
  const Clock& clock_;
  TimerService& timers_;
  const ListWatchOptions options_;
  const Handler handler_;

  Gate gate_;

  // Used by the one step that is running.
  bool started_ = false;
  Backoff backoff_;
  std::minstd_rand random_{std::random_device{}()};
  std::vector<Json> items_;  // of the pages so far
  std::string continue_;
  bool whole_list_ = false;
  std::string list_version_ = "0";
  std::string resource_version_;
  SteadyTime watch_start_;
  bool watch_had_event_ = false;
  int failures_ = 0;
  SteadyTime last_logged_;

  mutable std::mutex mutex_;  // guards all below
  bool synced_ = false;
  uint64_t turn_ = 0;  // grows when stream_ changes hands
  SteadyTime last_contact_;
  std::optional<TimerService::Id> timer_;
  std::unique_ptr<WatchStream> stream_;
};

ListWatch::ListWatch(Client& client,
                     const Clock& clock,
                     TimerService& timers,
                     ListWatchOptions options,
                     Handler handler)
    : impl_(std::make_shared<Impl>(client, clock, timers, std::move(options), std::move(handler))) {
}

ListWatch::~ListWatch() {
  impl_->Stop();
}

void ListWatch::Start() {
  impl_->Start();
}

void ListWatch::Stop() {
  impl_->Stop();
}

bool ListWatch::synced() const {
  return impl_->synced();
}

SteadyTime ListWatch::last_contact() const {
  return impl_->last_contact();
}

}  // namespace farlet::kube
