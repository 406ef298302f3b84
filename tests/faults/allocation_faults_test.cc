// The Nth allocation fails, for every N or a spread of them: a clear error, nothing left behind,
// nothing leaked, and what was open still works.
#include "faults_fixture.h"

namespace tenon::faults {
namespace {

// Every one of the first allocations, then about 60 a doubling.
int64_t after(int64_t number) {
  return number + 1 + number / 60;
}

// Plants a fault at allocation 1, 2, ... of `action` until it gets through without one; calls
// `check` after each. Returns how often it failed.
template <class Action, class Check>
int fail_everywhere(Action&& action, Check&& check) {
  // Twice without faults: caches and statics are made once.
  action();
  action();
  int failures = 0;
  for (int64_t number = 1;; number = after(number)) {
    plant_allocation_fault(0);
    int64_t before = live_bytes();
    plant_allocation_fault(number);
    bool refused = false;
    try {
      action();
    } catch (const std::bad_alloc&) {
      refused = true;
    } catch (const Error& error) {
      refused = true;
      EXPECT_EQ(error.code(), ErrorCode::OutOfMemory) << error.what() << " at " << number;
    }
    bool happened = allocation_fault_happened();
    plant_allocation_fault(0);
    if (!happened) return failures;
    failures += refused;
    EXPECT_LE(live_bytes() - before, 512) << "leaked at allocation " << number;
    check(number);
    if (testing::Test::HasFailure()) return failures;
  }
}

TEST_F(Faults, OpeningACheckpoint) {
  int failures = fail_everywhere([&] { compiler::import_model(model()); }, [](int64_t) {});
  EXPECT_GT(failures, 100);
}

TEST_F(Faults, OpeningAPlan) {
  build();
  int failures =
      fail_everywhere([&] { plan::PlanFile::open(plan())->verify_all_weights(); }, [](int64_t) {});
  EXPECT_GT(failures, 100);
}

TEST_F(Faults, BuildingOverAnOldPlan) {
  build();
  std::string good = bytes_of(plan());
  int failures = fail_everywhere([&] { build(); },
                                 [&](int64_t number) {
                                   EXPECT_EQ(bytes_of(plan()), good) << number;
                                   EXPECT_EQ(left(), std::vector<std::string>{"model.plan"});
                                 });
  EXPECT_GT(failures, 200);
}

TEST_F(Faults, OpeningAnEngine) {
  build();
  auto file = plan::PlanFile::open(plan());
  llm::Engine::open(file);  // the process keeps the back end and its threads from now on
  int failures = fail_everywhere([&] { llm::Engine::open(file); }, [](int64_t) {});
  EXPECT_GT(failures, 50);
}

TEST_F(Faults, AnEngineWorksOnAfterARequestFailed) {
  build();
  auto engine = llm::Engine::open(plan::PlanFile::open(plan()));
  std::vector<int32_t> wanted = run(*engine);
  int failures = fail_everywhere(
      [&] { run(*engine); }, [&](int64_t number) { EXPECT_EQ(run(*engine), wanted) << number; });
  EXPECT_GT(failures, 20);
}

}  // namespace
}  // namespace tenon::faults
