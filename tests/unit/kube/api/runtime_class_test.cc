#include "kube/api/runtime_class.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace farlet::kube {
namespace {

using nlohmann::json;

TEST(RuntimeClassTest, HasNameAndHandler) {
  const auto parsed = RuntimeClass::FromJson(
      json::parse(R"({"metadata": {"name": "vm", "uid": "u1", "resourceVersion": "7"},
                      "handler": "farlet", "overhead": {"podFixed": {"memory": "50Mi"}}})"));
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->meta.name, "vm");
  EXPECT_EQ(parsed->handler, "farlet");
}

TEST(RuntimeClassTest, NeedsAHandler) {
  for (const char* handler : {"null", "3", "\"\""}) {
    const auto parsed = RuntimeClass::FromJson(
        {{"metadata", {{"name", "vm"}, {"uid", "u1"}}}, {"handler", json::parse(handler)}});
    ASSERT_FALSE(parsed) << handler;
    EXPECT_EQ(parsed.error().message, "handler: must be a non-empty string");
  }
}

}  // namespace
}  // namespace farlet::kube
