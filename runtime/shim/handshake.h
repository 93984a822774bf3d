#pragma once

#include "runtime/vm/vm_factory.h"

namespace farlet::shim {

// What a booted guest is brought through before a pod, or a template, is made of it: the agent
// answers Hello, and its mount of the file server's tree is initialized.
vm::Handshake GuestHandshake();

}  // namespace farlet::shim
