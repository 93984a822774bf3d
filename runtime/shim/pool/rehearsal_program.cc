#include "runtime/shim/pool/rehearsal_program.h"

#include <cstddef>

// FARLET_PERFORMER is the built executable's path.
// NOLINTNEXTLINE(hicpp-no-assembler): C++ has no other way to take a file in before C++26.
__asm__(
    ".pushsection .rodata\n"
    ".global farlet_performer_begin\n"
    ".global farlet_performer_end\n"
    "farlet_performer_begin:\n"
    ".incbin \"" FARLET_PERFORMER
    "\"\n"
    "farlet_performer_end:\n"
    ".byte 0\n"
    ".popsection\n");

// NOLINTBEGIN(*-avoid-c-arrays,readability-identifier-naming): the assembler's, and of no other
// type.
extern "C" const char farlet_performer_begin[];
extern "C" const char farlet_performer_end[];

// NOLINTEND(*-avoid-c-arrays,readability-identifier-naming)

namespace farlet::shim {

std::string_view RehearsalProgram() {
  const char* const begin = farlet_performer_begin;
  const char* const end = farlet_performer_end;
  return {begin, static_cast<size_t>(end - begin)};
}

}  // namespace farlet::shim
