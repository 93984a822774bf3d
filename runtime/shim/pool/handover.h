#pragma once

#include "runtime/base/fd.h"
#include "runtime/base/result.h"
#include "runtime/shim/cli.h"

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

// How `start` makes a spare the shim of its pod, in three messages over the spare's socket:
//
//   start                                   spare
//     │── offer: what a shim is told, ────────▶│   or "end": nobody wants it any more
//     │   its socket and its bundle            │
//     │◀──────────────────── its process id ───│   from here on it waits for nobody else
//     │── go ─────────────────────────────────▶│   serves the pod
//
// Whoever closes the connection before "go" changed his mind: `start` then starts a shim as without
// a pool, and the spare waits on. So no pod ever has two.
namespace farlet::shim {

// What a shim is started with.
struct Offer {
  CommandLine line;
  std::vector<std::string> environment;  // "NAME=value", all of it
  UniqueFd listening;                    // the shim's socket
  UniqueFd bundle;                       // the folder
};

// Tells the spare that listens at `socket`. Its process id, when the pod is its own now; an error
// when it is not, and will not be.
Result<pid_t> HandOver(const std::filesystem::path& socket, const Offer& offer);

// Asks the spare to end, which it does a moment later.
Status TellToEnd(const std::filesystem::path& socket);

// What came over a spare's connection.
struct Handover {
  std::optional<Offer> offer;  // accepted; none: somebody only asked whether the spare is there
  bool end = false;
};

// The spare's side of a connection, a second or so at most. An error: go on waiting.
Result<Handover> TakeOver(UniqueFd connection);

}  // namespace farlet::shim
