#pragma once

#include <cstddef>
#include <string_view>

// Defines `std::string_view Name()` in the namespace where it stands: the content of a file as it
// was at build time, inside this program. `path` is a string literal, absolute; the build has to
// make the object depend on that file.
//
// NOLINTBEGIN(cppcoreguidelines-macro-usage,hicpp-no-assembler,*-avoid-c-arrays): C++ has no other
// way to take a file in before C++26, and the assembler's symbols have no other type.
#define FARLET_EMBED_FILE(Name, path)                      \
  __asm__(                                                 \
      ".pushsection .rodata\n"                             \
      "farlet_" #Name                                      \
      "_begin:\n"                                          \
      ".incbin \"" path                                    \
      "\"\n"                                               \
      "farlet_" #Name                                      \
      "_end:\n"                                            \
      ".byte 0\n"                                          \
      ".popsection\n"                                      \
      ".global farlet_" #Name                              \
      "_begin\n"                                           \
      ".global farlet_" #Name "_end\n");                   \
  extern "C" const char farlet_##Name##_begin[];           \
  extern "C" const char farlet_##Name##_end[];             \
  std::string_view Name() {                                \
    const char* const begin = farlet_##Name##_begin;       \
    const char* const end = farlet_##Name##_end;           \
    return {begin, static_cast<std::size_t>(end - begin)}; \
  }                                                        \
  static_assert(true, "a semicolon follows")
// NOLINTEND(cppcoreguidelines-macro-usage,hicpp-no-assembler,*-avoid-c-arrays)
