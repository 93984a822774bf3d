#include "runtime/shim/cli.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace farlet::shim {
namespace {

constexpr size_t kMaxIdentifier = 76;

struct Flag {
  std::string_view name;
  std::string CommandLine::*text = nullptr;  // null: a switch
};

constexpr std::array kFlags = {
    Flag{"namespace", &CommandLine::containerd_namespace},
    Flag{"address", &CommandLine::address},
    Flag{"publish-binary", &CommandLine::publish_binary},
    Flag{"id", &CommandLine::id},
    Flag{"bundle", &CommandLine::bundle},
    Flag{"memory-mib", &CommandLine::memory_mib},
    Flag{"vcpus", &CommandLine::vcpus},
    Flag{"disk-bytes", &CommandLine::disk_bytes},
    Flag{"background"},
    Flag{"debug"},
    Flag{"v"},
    Flag{"info"},
};

std::optional<Action> ActionNamed(std::string_view name) {
  for (const auto& [text, action] : {std::pair{"start", Action::kStart},
                                     {"delete", Action::kDelete},
                                     {"serve", Action::kServe},
                                     {"fileserver", Action::kFileServer},
                                     {"template", Action::kTemplate},
                                     {"pool", Action::kPool},
                                     {"spare", Action::kSpare}}) {
    if (name == text) {
      return action;
    }
  }
  return std::nullopt;
}

bool IsLetterOrDigit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

Status CheckIdentifiers(const CommandLine& line) {
  if (!IsIdentifier(line.id)) {
    return InvalidArgument(fmt::format("-id: \"{}\" is not an identifier", line.id));
  }
  if (!IsIdentifier(line.containerd_namespace)) {
    return InvalidArgument(
        fmt::format("-namespace: \"{}\" is not an identifier", line.containerd_namespace));
  }
  return {};
}

// Applies a switch that is set. False when it is no switch of ours.
void ApplySwitch(std::string_view name, CommandLine& line) {
  if (name == "v") {
    line.action = Action::kVersion;
  } else if (name == "info") {
    line.action = Action::kInfo;
  } else if (name == "background") {
    line.background = true;
  } else {
    line.debug = true;
  }
}

Result<bool> SwitchValue(std::string_view name, std::optional<std::string_view> value) {
  if (!value || *value == "true" || *value == "1") {
    return true;
  }
  if (*value == "false" || *value == "0") {
    return false;
  }
  return InvalidArgument(fmt::format("-{}: \"{}\" is neither true nor false", name, *value));
}

}  // namespace

bool IsIdentifier(std::string_view text) {
  if (text.empty() || text.size() > kMaxIdentifier || !IsLetterOrDigit(text.front()) ||
      !IsLetterOrDigit(text.back())) {
    return false;
  }
  bool separated = false;
  for (const char letter : text) {
    const bool plain = IsLetterOrDigit(letter);
    if (!plain && (separated || (letter != '-' && letter != '_' && letter != '.'))) {
      return false;
    }
    separated = !plain;
  }
  return true;
}

Result<CommandLine> ParseCommandLine(std::span<const std::string_view> arguments) {
  CommandLine line;
  size_t next = 0;
  for (; next < arguments.size() && arguments[next].starts_with('-'); ++next) {
    std::string_view name = arguments[next];
    name.remove_prefix(name.starts_with("--") ? 2 : 1);
    std::optional<std::string_view> value;
    if (const size_t equals = name.find('='); equals != std::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    const auto* const flag =
        std::find_if(kFlags.begin(), kFlags.end(), [&](const Flag& f) { return f.name == name; });
    if (flag == kFlags.end()) {
      return InvalidArgument(fmt::format("unknown flag {}", arguments[next]));
    }
    if (flag->text == nullptr) {
      FARLET_ASSIGN(const bool set, SwitchValue(name, value));
      if (set) {
        ApplySwitch(name, line);
      }
      continue;
    }
    if (!value && ++next == arguments.size()) {
      return InvalidArgument(fmt::format("flag -{} needs a value", name));
    }
    line.*(flag->text) = std::string(value ? *value : arguments[next]);
  }
  if (line.action == Action::kVersion || line.action == Action::kInfo) {
    return line;
  }
  if (next == arguments.size()) {
    return InvalidArgument("no action given: start or delete");
  }
  const std::optional<Action> action = ActionNamed(arguments[next]);
  if (!action) {
    return InvalidArgument(fmt::format("unknown action {}", arguments[next]));
  }
  line.action = *action;
  const bool of_a_container = line.action == Action::kStart || line.action == Action::kDelete ||
                              line.action == Action::kServe;
  if (of_a_container) {
    FARLET_TRY(CheckIdentifiers(line));
  }
  return line;
}

}  // namespace farlet::shim
