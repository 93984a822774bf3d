#pragma once

#include "provider/server/io.h"
#include "runtime/base/result.h"

#include <string>

namespace farlet::server {

// TLS 1.2 or newer, HTTP/1.1 by ALPN, client certificates asked for but judged later (ClientCa), no
// session resumption. Error: kInvalidArgument.
Result<ClientStream::TlsContext> MakeTlsContext(const std::string& certificate_pem,
                                                const std::string& key_pem);

}  // namespace farlet::server
