#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace farlet::vm {

struct CodeRange {
  uintptr_t begin = 0;
  size_t size = 0;
};

// One line of /proc/self/maps (proc(5)), if it is private memory of no file that may be written and
// executed: in QEMU only the buffer of translated code.
inline std::optional<CodeRange> ParseCodeRange(std::string_view line) {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  const char* const stop = line.data() + line.size();
  const auto first = std::from_chars(line.data(), stop, begin, 16);
  if (first.ec != std::errc() || first.ptr == stop || *first.ptr != '-') {
    return std::nullopt;
  }
  const auto second = std::from_chars(first.ptr + 1, stop, end, 16);
  if (second.ec != std::errc() || end <= begin) {
    return std::nullopt;
  }
  // Access, offset, device 00:00, inode 0, and no name.
  const std::string_view rest(second.ptr, static_cast<size_t>(stop - second.ptr));
  if (!rest.starts_with(" rwxp ") || rest.find(" 00:00 0") == std::string_view::npos ||
      rest.find_first_of("/[") != std::string_view::npos) {
    return std::nullopt;
  }
  return CodeRange{.begin = begin, .size = end - begin};
}

}  // namespace farlet::vm
