#include "runtime/ttrpc/server.h"

#include "runtime/ttrpc/listener.h"
#include "runtime/ttrpc/server_connection.h"

#include <boost/asio/post.hpp>

#include <unordered_map>
#include <vector>

namespace farlet::ttrpc {

// I/O thread only, but for the constructor, AddMethod() and SetErrorHook().
class Server::Core final : public std::enable_shared_from_this<Core> {
 public:
  Core(asio::io_context& context, const Limits& limits) : context_(context), limits_(limits) {}

  asio::io_context& context() { return context_; }

  void AddMethod(std::string service, std::string method, Handler handler) {
    (*methods_)[std::move(service)][std::move(method)] = std::move(handler);
  }

  void SetErrorHook(std::function<void(const Error&)> hook) { error_hook_ = std::move(hook); }

  void Listen(UniqueFd socket, ListenOptions options) {
    if (closed_) {
      return;
    }
    const std::weak_ptr<Core> weak = weak_from_this();
    Listener::Hooks hooks{.accepted =
                              [weak](UniqueFd connection) {
                                if (const auto core = weak.lock()) {
                                  core->Serve(std::move(connection), {});
                                }
                              },
                          .failed =
                              [weak](const Error& error) {
                                if (const auto core = weak.lock()) {
                                  core->Report(error);
                                }
                              }};
    listeners_.push_back(
        std::make_shared<Listener>(context_, std::move(socket), options, std::move(hooks)));
    listeners_.back()->Start();
  }

  void Serve(UniqueFd fd, EndHook ended) {
    Status refused;
    if (closed_) {
      refused = Unavailable("the server is closed");
    } else if (connections_.size() >= limits_.max_connections) {
      refused = MakeError(Code::kResourceExhausted,
                          "more than " + std::to_string(limits_.max_connections) + " connections");
      Report(refused.error());
    }
    if (!refused) {
      if (ended) {
        ended(refused);
      }
      return;
    }
    const auto connection =
        std::make_shared<ServerConnection>(context_, std::move(fd), limits_, methods_,
                                           [weak = weak_from_this(), ended = std::move(ended)](
                                               ServerConnection* self, const Status& end) {
                                             if (const auto core = weak.lock()) {
                                               core->OnConnectionEnd(self, end);
                                             }
                                             if (ended) {
                                               ended(end);
                                             }
                                           });
    connections_.emplace(connection.get(), connection);
    connection->Start();
  }

  void Close() {
    closed_ = true;
    for (const auto& listener : std::exchange(listeners_, {})) {
      listener->Close();
    }
    for (const auto& [raw, connection] : std::exchange(connections_, {})) {
      connection->End({});
    }
  }

 private:
  void OnConnectionEnd(ServerConnection* connection, const Status& end) {
    connections_.erase(connection);
    if (!end) {
      Report(end.error());
    }
  }

  void Report(const Error& error) {
    if (error_hook_) {
      error_hook_(error);
    }
  }

  asio::io_context& context_;
  const Limits limits_;
  const std::shared_ptr<Methods> methods_ = std::make_shared<Methods>();
  std::function<void(const Error&)> error_hook_;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::unordered_map<ServerConnection*, std::shared_ptr<ServerConnection>> connections_;
  bool closed_ = false;
};

Server::Server(boost::asio::io_context& context, Limits limits)
    : core_(std::make_shared<Core>(context, limits)) {}

Server::~Server() {
  Close();
}

void Server::Register(std::string service, std::string method, Handler handler) {
  core_->AddMethod(std::move(service), std::move(method), std::move(handler));
}

void Server::OnError(std::function<void(const Error& error)> hook) {
  core_->SetErrorHook(std::move(hook));
}

void Server::Listen(UniqueFd socket, ListenOptions options) {
  asio::post(core_->context(), [core = core_, socket = std::move(socket), options]() mutable {
    core->Listen(std::move(socket), options);
  });
}

void Server::Serve(UniqueFd connection, EndHook ended) {
  asio::post(core_->context(), [core = core_, connection = std::move(connection),
                                ended = std::move(ended)]() mutable {
    core->Serve(std::move(connection), std::move(ended));
  });
}

void Server::Close() {
  if (core_->context().get_executor().running_in_this_thread()) {
    core_->Close();
  } else {
    asio::post(core_->context(), [core = core_] { core->Close(); });
  }
}

}  // namespace farlet::ttrpc
