#pragma once

#include <string>
#include <vector>

namespace farlet {

// The texts as execve and posix_spawn want arguments and environments, which they do not change:
// valid as long as `texts` is not touched.
inline std::vector<char*> CStrings(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) {
    pointers.push_back(const_cast<char*>(text.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace farlet
