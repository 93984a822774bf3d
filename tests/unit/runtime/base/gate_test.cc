#include "runtime/base/gate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <optional>
#include <thread>

namespace farlet {
namespace {

TEST(GateTest, LetsInUntilItIsClosed) {
  Gate gate;
  EXPECT_TRUE(gate.Enter());
  gate.Close();
  EXPECT_FALSE(gate.Enter());
  gate.Close();
}

TEST(GateTest, ClosingWaitsForWhoIsInside) {
  Gate gate;
  std::atomic<bool> left{false};
  std::optional<Gate::Pass> pass(gate.Enter());
  std::promise<void> closing;
  std::thread closer([&] {
    closing.set_value();
    gate.Close();
    EXPECT_TRUE(left);
  });
  closing.get_future().wait();
  while (gate.Enter()) {
    std::this_thread::yield();
  }
  left = true;
  pass.reset();
  closer.join();
}

struct Stepper {
  Gate& gate() { return own_gate; }

  Gate own_gate;
  int steps = 0;
};

TEST(GateTest, StepsRunWhileTheObjectLivesAndIsOpen) {
  auto object = std::make_shared<Stepper>();
  const std::weak_ptr<Stepper> weak = object;
  const auto step = [](Stepper& self) { ++self.steps; };
  EnterStep(weak, step);
  EXPECT_EQ(object->steps, 1);
  object->own_gate.Close();
  EnterStep(weak, step);
  EXPECT_EQ(object->steps, 1);
  object.reset();
  EnterStep(weak, [](Stepper&) { ADD_FAILURE(); });
}

}  // namespace
}  // namespace farlet
