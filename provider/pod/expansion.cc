#include "provider/pod/env.h"

namespace farlet::pod {

std::string Expand(std::string_view text, const std::map<std::string, std::string>& variables) {
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
    const std::string_view reference = text.substr(i, close - i + 1);
    const auto found = variables.find(std::string(reference.substr(2, reference.size() - 3)));
    expanded += found == variables.end() ? reference : std::string_view(found->second);
    i = close;
  }
  return expanded;
}

}  // namespace farlet::pod
