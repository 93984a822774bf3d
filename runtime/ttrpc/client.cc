#include "runtime/ttrpc/client.h"

#include "runtime/ttrpc/client_connection.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <future>

namespace farlet::ttrpc {
namespace {

// Longer ones are as good as none, and the clock cannot count them.
constexpr std::chrono::hours kLongestTimeout{24 * 365};
// How much later than a call's timeout its answer is given up when the I/O thread does not run.
constexpr std::chrono::seconds kPatience{5};

}  // namespace

class Client::Core {
 public:
  Core(asio::io_context& io_context, UniqueFd fd, const Limits& limits)
      : context(io_context),
        connection(std::make_shared<ClientConnection>(io_context, std::move(fd), limits)) {}

  asio::io_context& context;
  const std::shared_ptr<ClientConnection> connection;
};

std::shared_ptr<Client> Client::Over(boost::asio::io_context& context,
                                     UniqueFd connection,
                                     Limits limits) {
  auto core = std::make_shared<Core>(context, std::move(connection), limits);
  asio::post(context, [connection = core->connection] { connection->Start(); });
  return std::shared_ptr<Client>(new Client(std::move(core)));
}

Client::Client(std::shared_ptr<Core> core) : core_(std::move(core)) {}

Client::~Client() {
  Close();
}

void Client::Call(Request request, Callback<std::string> done) {
  request.timeout = std::max(request.timeout, std::chrono::nanoseconds(0));
  if (request.timeout > kLongestTimeout) {
    request.timeout = std::chrono::nanoseconds(0);
  }
  const SteadyTime due = std::chrono::steady_clock::now() + request.timeout;
  asio::post(core_->context, [connection = core_->connection, request = std::move(request), due,
                              done = std::move(done)]() mutable {
    connection->Call(std::move(request), due, std::move(done));
  });
}

void Client::Call(std::string service,
                  std::string method,
                  std::string payload,
                  std::chrono::milliseconds timeout,
                  Callback<std::string> done) {
  Call(Request{.service = std::move(service),
               .method = std::move(method),
               .payload = std::move(payload),
               .timeout = timeout},
       std::move(done));
}

Result<std::string> Client::CallAndWait(Request request) {
  const std::string what = request.service + "/" + request.method;
  if (core_->context.get_executor().running_in_this_thread()) {
    return Internal(what + ": waits for the I/O thread on the I/O thread");
  }
  const std::chrono::nanoseconds timeout = request.timeout;
  const auto promise = std::make_shared<std::promise<Result<std::string>>>();
  auto answer = promise->get_future();
  Call(std::move(request),
       [promise](Result<std::string> result) { promise->set_value(std::move(result)); });
  if (timeout.count() > 0 && timeout < kLongestTimeout &&
      answer.wait_for(timeout + kPatience) != std::future_status::ready) {
    return MakeError(Code::kDeadlineExceeded, what + ": the I/O thread does not run");
  }
  return answer.get();
}

void Client::OnEnd(std::function<void(const Error& error)> hook) {
  asio::post(core_->context, [connection = core_->connection, hook = std::move(hook)]() mutable {
    connection->SetEndHook(std::move(hook));
  });
}

void Client::Close() {
  asio::post(core_->context,
             [connection = core_->connection] { connection->End(Cancelled("closed here")); });
}

}  // namespace farlet::ttrpc
