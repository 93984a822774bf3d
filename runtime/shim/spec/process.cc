#include "runtime/shim/spec/process.h"

#include <utility>

namespace farlet::shim {
namespace {

constexpr uint64_t kMaxTerminalSide = 65535;

void TranslateUser(const Cursor& from, guest::v1::User& to) {
  to.set_uid(from["uid"].Unsigned32());
  to.set_gid(from["gid"].Unsigned32());
  from["additionalGids"].EachItem(
      [&](const Cursor& item) { to.add_additional_gids(item.Unsigned32()); });
  if (!from["umask"].empty()) {
    to.set_umask(static_cast<uint32_t>(from["umask"].Unsigned(0777)));
  }
  if (!from["username"].Text().empty()) {
    from["username"].Refuse("names of users are of Windows only");
  }
}

void TranslateCapabilities(const Cursor& from, guest::v1::Capabilities& to) {
  for (auto& name : from["bounding"].Texts()) {
    to.add_bounding(std::move(name));
  }
  for (auto& name : from["effective"].Texts()) {
    to.add_effective(std::move(name));
  }
  for (auto& name : from["inheritable"].Texts()) {
    to.add_inheritable(std::move(name));
  }
  for (auto& name : from["permitted"].Texts()) {
    to.add_permitted(std::move(name));
  }
  for (auto& name : from["ambient"].Texts()) {
    to.add_ambient(std::move(name));
  }
}

void TranslateTerminal(const Cursor& from, guest::v1::Process& to) {
  to.set_terminal(from["terminal"].Flag());
  const auto rows = static_cast<uint32_t>(from["consoleSize"]["height"].Unsigned(kMaxTerminalSide));
  const auto columns =
      static_cast<uint32_t>(from["consoleSize"]["width"].Unsigned(kMaxTerminalSide));
  if (to.terminal() && rows > 0 && columns > 0) {
    to.mutable_console_size()->set_rows(rows);
    to.mutable_console_size()->set_columns(columns);
  }
}

}  // namespace

guest::v1::Process TranslateProcess(const Cursor& process) {
  guest::v1::Process to;
  for (auto& argument : process["args"].Texts()) {
    to.add_args(std::move(argument));
  }
  if (to.args().empty()) {
    process["args"].Refuse("empty");
  }
  for (auto& variable : process["env"].Texts()) {
    to.add_env(std::move(variable));
  }
  to.set_cwd(process["cwd"].Text());
  TranslateTerminal(process, to);
  TranslateUser(process["user"], *to.mutable_user());
  if (!process["capabilities"].empty()) {
    TranslateCapabilities(process["capabilities"], *to.mutable_capabilities());
  }
  process["rlimits"].EachItem([&](const Cursor& item) {
    auto* const limit = to.add_rlimits();
    limit->set_type(item["type"].Text());
    limit->set_soft(item["soft"].Unsigned());
    limit->set_hard(item["hard"].Unsigned());
  });
  to.set_no_new_privileges(process["noNewPrivileges"].Flag());
  if (const auto score = process["oomScoreAdj"].Integer()) {
    if (*score < -1000 || *score > 1000) {
      process["oomScoreAdj"].Refuse("not from -1000 to 1000");
    } else {
      to.set_oom_score_adj(static_cast<int32_t>(*score));
    }
  }
  // apparmorProfile and selinuxLabel are of the host's kernel: the VM takes their place.
  return to;
}

}  // namespace farlet::shim
