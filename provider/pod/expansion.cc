#include "provider/pod/env.h"

namespace farlet::pod {

std::string Expand(std::string_view text,
                   const std::function<std::string(const std::string& name)>& value) {
  std::string expanded;
  expanded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      expanded += text[i];
      continue;
    }
    const char next = text[i + 1];
    if (next == '$') {
      expanded += '$';
      ++i;
      continue;
    }
    const size_t close = next == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (close == std::string_view::npos) {
      // A lone or an unfinished reference stays as it is.
      expanded += '$';
      continue;
    }
    expanded += value(std::string(text.substr(i + 2, close - i - 2)));
    i = close;
  }
  return expanded;
}

std::string Expand(std::string_view text, const std::map<std::string, std::string>& variables) {
  return Expand(text, [&](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? "$(" + name + ")" : found->second;
  });
}

}  // namespace farlet::pod
