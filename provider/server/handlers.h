#pragma once

#include "provider/server/request.h"
#include "runtime/base/result.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace farlet::server {

// What the server needs from the rest of the node, as functions. All of them are called on the
// server's I/O thread and must not block; asynchronous ones call back exactly once, from any
// thread, also after the server has been destroyed (the answer is dropped then).
//
// An Error becomes the HTTP answer: its http_status when set, else the one of its code
// (kInvalidArgument and kFailedPrecondition 400, kNotFound 404, kUnavailable 503,
// kDeadlineExceeded 504, everything else 500), with its message as the body.

struct ContainerRef {
  std::string pod_namespace;
  std::string pod;
  std::string uid;  // empty: whatever pod has the name now
  std::string container;
};

struct LogTarget {
  // The CRI log file, absolute, without symbolic links on the way that others could have made.
  std::string path;
  // Whether this container (not its successor) may still write. Asked at the end of the file while
  // following; null: it may not.
  std::function<bool()> running;
};

struct StreamRequest {
  ContainerRef container;
  std::vector<std::string> command;  // exec only
  bool in = false;
  bool out = false;
  bool err = false;  // never together with tty
  bool tty = false;
};

struct PortForwardRequest {
  std::string pod_namespace;
  std::string pod;
  std::string uid;             // empty: whatever pod has the name now
  std::vector<int32_t> ports;  // only WebSocket clients name them here
};

// A null function answers 404, as an unknown path does.
struct Handlers {
  // A v1.PodList as JSON.
  std::function<void(Callback<std::string>)> pods;
  std::function<void(Callback<std::string>)> running_pods;
  // {"kubeletconfig": {…}}.
  std::function<void(Callback<std::string>)> configz;

  // Metrics in Prometheus' text format 0.0.4.
  std::function<void(Callback<std::string>)> metrics;
  // What pods have cost, as JSON; the parameters are as they came.
  std::function<void(const QueryParameters&, Callback<std::string>)> cost;

  // `previous`: the log of the last terminated instance. Texts that kubectl users know: 404
  // `pod "x" does not exist`, 404 `container "c" not found in pod "p"`, 400 `container "c" in pod
  // "p" is waiting to start: ContainerCreating`, 400 `previous terminated container "c" in pod "p"
  // not found`.
  std::function<void(const ContainerRef&, bool previous, Callback<LogTarget>)> log_target;

  // The URL of CRI's streaming server for one session.
  std::function<void(const StreamRequest&, Callback<std::string>)> exec_url;
  std::function<void(const StreamRequest&, Callback<std::string>)> attach_url;
  std::function<void(const PortForwardRequest&, Callback<std::string>)> port_forward_url;

  // POST /run: the combined output of the command.
  std::function<void(const StreamRequest&, Callback<std::string>)> run;

  // Whether the pod loop is alive (/healthz/syncloop); null: always.
  std::function<Status()> sync_loop;
};

}  // namespace farlet::server
