#include "runtime/shim/pool/rehearsal_program.h"

#include "runtime/base/embedded_file.h"

namespace farlet::shim {

// FARLET_PERFORMER is the built executable's path.
FARLET_EMBED_FILE(RehearsalProgram, FARLET_PERFORMER);

}  // namespace farlet::shim
