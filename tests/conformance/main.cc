#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <set>

#include "conformance.h"
#include "cuda_backend.h"
#include "ops/op_list.h"
#include "results_file.h"

namespace tenon::conformance {
namespace {

// Prints what ran, and fails where an implementation or an op was never exercised.
class Coverage : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf("%-48s %6s %6s %7s  %s\n", "implementation", "run", "passed", "skipped",
                "bound used");
    for (const ops::Implementation* implementation : all_implementations()) {
      Count count = counts()[std::string(implementation->name)];
      std::printf("%-48s %6d %6d %7d  %9.1f%%\n", std::string(implementation->name).c_str(),
                  count.run, count.passed, count.skipped, 100 * count.worst_share);
    }
    list_kernels_without_device();
    // Under a filter, or in a shard, the rest is missing on purpose.
    bool all = ::testing::GTEST_FLAG(filter) == "*" && !std::getenv("TENON_CONFORMANCE_SHARD");
    if (all) check_all_ran();
    if (const char* path = std::getenv("TENON_CONFORMANCE_RESULTS")) write_results(path);
  }

 private:
  // Green is no proof for these: they compiled, and that is all.
  void list_kernels_without_device() {
    const CudaBackend& cuda = cuda_backend();
    if (cuda.device) return;
    std::printf("skip cuda: %s\n", cuda.skipped().c_str());
    for (const ops::Implementation* implementation : cuda.implementations) {
      std::printf("skip %s: ran nowhere, no device\n", std::string(implementation->name).c_str());
    }
  }

  void check_all_ran() {
    std::set<std::string_view> ran_ops;
    for (const ops::Implementation* implementation : all_implementations()) {
      Count count = counts()[std::string(implementation->name)];
      if (count.run > 0) ran_ops.insert(implementation->op);
      bool excused = count.skipped > 0 && count.only_missing_hardware;
      if (count.run == 0 && excused) {
        std::printf("skip %s: ran no case, this machine cannot\n",
                    std::string(implementation->name).c_str());
      } else if (count.run == 0) {
        ADD_FAILURE() << implementation->name << " is listed but ran no case";
      }
    }
    for (const ops::OpDef& op : ops::builtin_catalogue().ops()) {
      if (!ran_ops.contains(op.name) && !gpu_only())
        ADD_FAILURE() << "op " << op.name << " has no conformance case";
    }
  }
};

}  // namespace
}  // namespace tenon::conformance

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new tenon::conformance::Coverage);
  return RUN_ALL_TESTS();
}
