#include "runtime/vm/template_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

namespace farlet::vm {
namespace {

struct Inputs {
  MachineSpec spec{.size = {1, 256}, .acceleration = Acceleration::Kind::kTcg, .tsc_khz = 1000};
  TemplateInputs other{
      .files = {.kernel = "/k", .initramfs = "/i", .kernel_sha256 = "1", .initramfs_sha256 = "2"},
      .qemu_fingerprint = "qemu 7.2",
      .handshake_version = "1",
      .boot_id = "b"};

  std::string Key() const { return TemplateKey(spec, other); }
};

TEST(TemplateKeyTest, EverythingThatMattersChangesIt) {
  const std::function<void(Inputs&)> changes[] = {
      [](Inputs&) {},
      [](Inputs& i) { i.spec.size.vcpus = 2; },
      [](Inputs& i) { i.spec.size.memory_mib = 512; },
      [](Inputs& i) { i.spec.acceleration = Acceleration::Kind::kKvm; },
      [](Inputs& i) { i.spec.tsc_khz = 1001; },
      [](Inputs& i) { i.spec.disk_bytes = 1; },
      [](Inputs& i) { i.other.files.kernel_sha256 = "3"; },
      [](Inputs& i) { i.other.files.initramfs_sha256 = "3"; },
      [](Inputs& i) { i.other.qemu_fingerprint = "qemu 8"; },
      [](Inputs& i) { i.other.handshake_version = "2"; },
      [](Inputs& i) { i.other.boot_id = "c"; },
  };
  std::set<std::string> keys;
  for (const auto& change : changes) {
    Inputs inputs;
    change(inputs);
    EXPECT_EQ(inputs.Key(), inputs.Key());
    keys.insert(inputs.Key());
  }
  EXPECT_EQ(keys.size(), std::size(changes));
}

TEST(TemplateKeyTest, PathsDoNotMatterAndTheSizeCanBeRead) {
  Inputs inputs;
  const std::string key = inputs.Key();
  inputs.other.files.kernel = "/elsewhere";
  EXPECT_EQ(inputs.Key(), key);
  EXPECT_EQ(key.substr(0, 12), "256mib-1cpu-");
  EXPECT_EQ(key.find('/'), std::string::npos);
}

}  // namespace
}  // namespace farlet::vm
