#pragma once

#include "provider/pod/atomic_writer.h"
#include "provider/pod/env.h"
#include "provider/pod/volumes.h"

namespace farlet::pod {

// The files that a configMap, secret, downward API or projected volume is to have now. Later
// sources win. Errors: as SetUpVolumes(), without the volume's name; several are joined as
// "[a, b]", and kUnavailable is reported only when nothing worse happened.
Result<Payload> MakePayload(const kube::ProjectedVolume& volume,
                            const EnvContext& context,
                            const TokenLookup& tokens);

}  // namespace farlet::pod
