#pragma once

#include "runtime/guest/cgroup.h"

namespace google::protobuf {
template <class T>
class RepeatedPtrField;
}

namespace farlet::guest {

namespace v1 {
class CpuStats;
class IoStats;
class MemoryStats;
class PidsStats;
}  // namespace v1

// What a cgroup counts. Numbers of controllers that are missing stay 0.
void FillCpu(const Cgroup& cgroup, v1::CpuStats* stats);
void FillMemory(const Cgroup& cgroup, v1::MemoryStats* stats);
void FillPids(const Cgroup& cgroup, v1::PidsStats* stats);
void FillIo(const Cgroup& cgroup, google::protobuf::RepeatedPtrField<v1::IoStats>* stats);

// The lines of io.stat.
void ParseIo(std::string_view text, google::protobuf::RepeatedPtrField<v1::IoStats>* stats);

}  // namespace farlet::guest
