#include "runtime/shim/start_input.h"

#include "proto/containerd/bootstrap/v1/bootstrap.pb.h"
#include "proto/containerd/runtimeoptions/v1/options.pb.h"
#include "proto/containerd/types/wellknown.pb.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <utility>

namespace farlet::shim {
namespace {

constexpr std::string_view kOptions = "runtimeoptions.v1.Options";
constexpr int kTaskVersion = 2;

template <class Message>
bool Parse(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// type.googleapis.com/runtimeoptions.v1.Options, or the bare name.
bool IsType(const std::string& url, std::string_view name) {
  return url == name || (url.ends_with(name) && url[url.size() - name.size() - 1] == '/');
}

Status ReadOptions(const wkt::Any& any, StartInput& input) {
  if (!IsType(any.type_url(), kOptions)) {
    return {};
  }
  runtimeoptions::v1::Options options;
  if (!Parse(any.value(), options)) {
    return InvalidArgument("options of the runtime: not valid");
  }
  input.config_path = options.config_path();
  return {};
}

}  // namespace

Result<StartInput> ParseStartInput(std::string_view bytes, std::string_view id) {
  StartInput input;
  ::containerd::runtime::bootstrap::v1::BootstrapParams params;
  if (!bytes.empty() && Parse(bytes, params) && params.instance_id() == id) {
    input.bootstrap = true;
    input.socket_folder = params.socket_dir();
    for (const auto& extension : params.extensions()) {
      FARLET_TRY(ReadOptions(extension.value(), input));
    }
    return input;
  }
  wkt::Any any;
  if (!Parse(bytes, any)) {
    return InvalidArgument("standard input: neither options nor bootstrap parameters");
  }
  FARLET_TRY(ReadOptions(any, input));
  return input;
}

std::string StartAnswer(std::string_view address, std::string_view max_shim_version) {
  int version = 0;
  std::from_chars(max_shim_version.data(), max_shim_version.data() + max_shim_version.size(),
                  version);
  if (version < kTaskVersion) {
    return std::string(address);
  }
  return nlohmann::json{
      {"version", kTaskVersion}, {"address", std::string(address)}, {"protocol", "ttrpc"}}
      .dump();
}

}  // namespace farlet::shim
