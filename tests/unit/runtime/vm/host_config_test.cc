#include "runtime/vm/host_config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace farlet::vm {
namespace {

TEST(HostConfigTest, EmptyFileIsTheDefaults) {
  for (const char* text : {"", "# nothing\n", "{}"}) {
    const auto config = ParseHostConfig(text);
    ASSERT_TRUE(config) << text;
    EXPECT_EQ(*config, HostConfig{}) << text;
  }
}

TEST(HostConfigTest, EveryKey) {
  const auto config = ParseHostConfig(R"(
qemu: /opt/qemu
kernel: /boot/k
initramfs: /boot//i
cacheDir: /c
runDir: /r/
templateDir: /t
acceleration: tcg
coldBoot: true
defaultMemory: 1Gi
defaultVcpus: 2
ephemeralStorage: "1073741824"
imageCache: 512Mi
poolSize: 3
)");
  ASSERT_TRUE(config) << config.error().message;
  const HostConfig expected{.qemu = "/opt/qemu",
                            .kernel = "/boot/k",
                            .initramfs = "/boot/i",
                            .cache_dir = "/c",
                            .run_dir = "/r/",
                            .template_dir = "/t",
                            .acceleration = AccelerationMode::kTcg,
                            .cold_boot = true,
                            .default_memory_bytes = 1ull << 30,
                            .default_vcpus = 2,
                            .ephemeral_storage_bytes = 1ull << 30,
                            .image_cache_bytes = 512ull << 20,
                            .pool_size = 3};
  EXPECT_EQ(*config, expected);
}

TEST(HostConfigTest, MistakesNameTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {"memory: 1Gi", "memory: unknown key"},
      {"qemu: qemu", "qemu: must be an absolute path"},
      {"kernel: /a,b", "kernel: must be an absolute path"},
      {"coldBoot: yes", "coldBoot: must be true or false"},
      {"acceleration: xen", "acceleration: must be auto, kvm or tcg"},
      {"defaultVcpus: 0", "defaultVcpus: must be a number"},
      {"defaultVcpus: 2000", "defaultVcpus: must be a number"},
      {"poolSize: 65", "poolSize: must be a number between 0 and 64"},
      {"poolSize: -1", "poolSize: must be a number between 0 and 64"},
      {"defaultMemory: 0", "defaultMemory: must be a size"},
      {"defaultMemory: 1.5Gi", "defaultMemory: must be a size"},
      {"defaultMemory: -1", "defaultMemory: must be a size"},
      {"imageCache: 99999999999Ti", "imageCache: must be a size"},
      {"imageCache: [1]", "imageCache: must be a single value"},
      {"qemu: /a\nqemu: /b", "qemu: given twice"},
      {"- a", "must be a mapping"},
      {"{", "yaml-cpp"},
  };
  for (const auto& [text, message] : cases) {
    const auto config = ParseHostConfig(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, Code::kInvalidArgument) << text;
    EXPECT_NE(config.error().message.find(message), std::string::npos) << config.error().message;
  }
}

TEST(HostConfigTest, OnlyTheDefaultFileMayBeMissing) {
  const auto config = LoadHostConfig("/nonexistent/vm.yaml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Code::kNotFound);
  EXPECT_NE(config.error().message.find("/nonexistent/vm.yaml"), std::string::npos);
}

TEST(HostConfigTest, TheRuntimesOptionWins) {
  ASSERT_EQ(::unsetenv("FARLET_VM_CONFIG"), 0);
  EXPECT_EQ(HostConfigPath(""), kDefaultHostConfig);
  ASSERT_EQ(::setenv("FARLET_VM_CONFIG", "/from/environment", 1), 0);
  EXPECT_EQ(HostConfigPath(""), "/from/environment");
  EXPECT_EQ(HostConfigPath("/from/options"), "/from/options");
  ASSERT_EQ(::unsetenv("FARLET_VM_CONFIG"), 0);
}

}  // namespace
}  // namespace farlet::vm
