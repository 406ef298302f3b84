// Reads and writes that fail, stop half-way or are interrupted.
#include <errno.h>

#include "base/file.h"
#include "data/json.h"
#include "faults_fixture.h"

namespace tenon::faults {
namespace {

using testing::HasSubstr;

// The error of a build with this fault in it; the old plan must be whole and alone afterwards.
class WriteFaults : public Faults {
 protected:
  void expect_io_error(Call call, int code, int64_t number, const char* part) {
    plant_call_fault(call, Fault::Error, code, number, part);
    try {
      build();
      ADD_FAILURE() << "no error at call " << number;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::Io) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("model.plan"));
      EXPECT_THAT(error.what(), HasSubstr(strerror(code)));
    }
    EXPECT_TRUE(call_fault_happened());
    clear_call_fault();
    EXPECT_EQ(bytes_of(plan()), good_) << number;
    EXPECT_EQ(left(), std::vector<std::string>{"model.plan"});
  }
  void SetUp() override {
    build();
    good_ = bytes_of(plan());
  }
  std::string good_;
};

TEST_F(WriteFaults, AFullDiskAtEveryWrite) {
  int64_t number = 1;
  for (;; ++number) {
    plant_call_fault(Call::Write, Fault::Error, ENOSPC, number, "model.plan");
    try {
      build();
    } catch (const Error&) {
    }
    bool happened = call_fault_happened();
    clear_call_fault();
    if (!happened) break;
    expect_io_error(Call::Write, ENOSPC, number, "model.plan");
    if (HasFailure()) return;
  }
  EXPECT_GT(number, 10);
}

TEST_F(WriteFaults, ADiskThatFailsAtTheEnd) {
  expect_io_error(Call::Sync, EIO, 1, "model.plan");
  expect_io_error(Call::Rename, ENOSPC, 1, "model.plan");
}

TEST_F(WriteFaults, ShortAndInterruptedWritesGoOn) {
  for (Fault fault : {Fault::Short, Fault::Interrupted}) {
    std::filesystem::remove(plan());
    plant_call_fault(Call::Write, fault, 0, 0, "model.plan");
    build();
    EXPECT_TRUE(call_fault_happened());
    clear_call_fault();
    EXPECT_EQ(bytes_of(plan()), good_);
  }
}

TEST_F(Faults, AReadErrorNamesFileAndReason) {
  plant_call_fault(Call::Read, Fault::Error, EIO, 1, "config.json");
  try {
    compiler::import_model(model());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Io);
    EXPECT_THAT(error.what(), HasSubstr("config.json"));
    EXPECT_THAT(error.what(), HasSubstr(strerror(EIO)));
  }
}

TEST_F(Faults, ShortAndInterruptedReadsGoOn) {
  std::string path = folder_ + "/text";
  std::string text(100'000, 'x');
  std::ofstream(path) << text;
  for (Fault fault : {Fault::Short, Fault::Interrupted}) {
    plant_call_fault(Call::Read, fault, 0, 0, "text");
    EXPECT_EQ(read_text_file(path, 1 << 20), text);
    EXPECT_TRUE(call_fault_happened());
  }
}

TEST_F(Faults, AFileThatCannotBeMapped) {
  plant_call_fault(Call::Map, Fault::Error, ENOMEM, 1, "model.safetensors");
  try {
    compiler::import_model(model());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot map"));
    EXPECT_THAT(error.what(), HasSubstr("model.safetensors"));
  }
}

}  // namespace
}  // namespace tenon::faults
