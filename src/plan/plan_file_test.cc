#include "plan/plan_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "plan/plan_format.h"
#include "plan/plan_json.h"
#include "plan/plan_test_plans.h"

namespace tenon::plan {
namespace {

using testing::HasSubstr;

class PlanFileTest : public testing::Test {
 protected:
  PlanFileTest() { std::filesystem::create_directories(folder_); }
  ~PlanFileTest() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  std::string written(const std::string& name, Plan plan = make_test_plan()) const {
    write_test_plan(file(name), std::move(plan));
    return file(name);
  }
  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  // Flips one bit of the file in place.
  static void flip(const std::string& path, int64_t byte) {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(byte);
    char value = static_cast<char>(stream.get());
    stream.seekp(byte);
    stream.put(static_cast<char>(value ^ 1));
  }

 private:
  std::string folder_ = testing::TempDir() + "tenon-plan-" + std::to_string(getpid());
};

// A plan whose weights are three chunks and a bit.
Plan big_plan() {
  Plan plan = make_test_plan();
  for (int i = 0; i < 4; ++i) {
    plan.constants.push_back(
        {"big." + std::to_string(i), DType::U8, {kChunkBytes - 1000 * i - 7}, 0, 0, "", {}});
  }
  return plan;
}

TEST_F(PlanFileTest, ReadsEveryFieldItWrote) {
  Plan plan = make_test_plan();
  auto opened = PlanFile::open(written("p"));
  const Plan& got = opened->plan();
  EXPECT_EQ(got.architecture, plan.architecture);
  EXPECT_EQ(got.tokenizer, plan.tokenizer);
  EXPECT_EQ(got.chat_template, plan.chat_template);
  EXPECT_EQ(got.graph_before, plan.graph_before);
  EXPECT_EQ(got.graph_after, plan.graph_after);
  EXPECT_EQ(got.model, plan.model);
  // The sections say everything about stages; equal texts are equal plans.
  EXPECT_EQ(write_stages_section(got.stages), write_stages_section(plan.stages));
  EXPECT_EQ(write_plan_section(got), write_plan_section(plan));
  EXPECT_EQ(got.stages[0].values[5].type, plan.stages[0].values[5].type);
  EXPECT_EQ(got.stages[0].values[2].type.quant, plan.stages[0].values[2].type.quant);
  EXPECT_EQ(got.stages[0].steps[0].attributes, plan.stages[0].steps[0].attributes);
  EXPECT_EQ(got.stages[0].steps[1].regions[0].steps[0].placement, Placement::Host);
  EXPECT_EQ(got.feeds[0].to_value, "scores");
  EXPECT_EQ(got.constants[1].sources, plan.constants[1].sources);
  EXPECT_EQ(got.constants[1].offset, 256);
  EXPECT_TRUE(opened->evidence().entries.as_array("").empty());
}

TEST_F(PlanFileTest, AttributesKeepTheirKinds) {
  Plan plan = make_test_plan();
  ops::Attributes& attributes = plan.stages[0].steps[0].attributes;
  attributes.set("whole", 3.0).set("least", std::numeric_limits<int64_t>::min());
  attributes.set("inf", -std::numeric_limits<double>::infinity()).set("zero", -0.0);
  attributes.set("tiny", std::vector<double>{5e-324, 0.1});
  auto opened = PlanFile::open(written("p", plan));
  const ops::Attributes& got = opened->plan().stages[0].steps[0].attributes;
  EXPECT_EQ(got, attributes);
  EXPECT_TRUE(std::signbit(std::get<double>(*got.find("zero"))));
}

TEST_F(PlanFileTest, TheSameInputGivesTheSameBytes) {
  EXPECT_EQ(read(written("a")), read(written("b")));
  Plan other = make_test_plan();
  other.chat_template += " ";
  EXPECT_NE(PlanFile::open(file("a"))->identity(), PlanFile::open(written("c", other))->identity());
}

TEST_F(PlanFileTest, ConstantsAreTheBytesAndAligned) {
  auto opened = PlanFile::open(written("p", big_plan()));
  for (size_t i = 0; i < opened->plan().constants.size(); ++i) {
    TensorView view = opened->constant(i);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % kConstantAlignment, 0u);
    EXPECT_EQ(view.extents, opened->plan().constants[i].extents);
    for (int64_t b = 0; b < view.bytes(); ++b) {
      ASSERT_EQ(view.byte_span()[b], static_cast<std::byte>(i + b % 251)) << i << " " << b;
    }
  }
  EXPECT_NO_THROW(opened->verify_all_weights());
}

TEST_F(PlanFileTest, ThreadsMayAskForTheSameConstant) {
  auto opened = PlanFile::open(written("p", big_plan()));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (size_t c = 0; c < opened->plan().constants.size(); ++c) opened->constant(c);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(PlanFileTest, EveryFlippedBitIsNoticed) {
  std::string path = written("p");
  std::string good = read(path);
  for (size_t byte = 0; byte < good.size(); ++byte) {
    flip(path, static_cast<int64_t>(byte));
    EXPECT_THROW(PlanFile::open(path)->verify_all_weights(), Error) << "byte " << byte;
    flip(path, static_cast<int64_t>(byte));
  }
  EXPECT_EQ(read(path), good);
  EXPECT_NO_THROW(PlanFile::open(path)->verify_all_weights());
}

TEST_F(PlanFileTest, DamagedWeightsNameTheConstantThatNeedsThem) {
  std::string path = written("p", big_plan());
  const Constant third = PlanFile::open(path)->plan().constants[4];
  flip(path, kWeightsAlignment + third.offset + third.bytes / 2);
  auto opened = PlanFile::open(path);
  EXPECT_NO_THROW(opened->constant(0));
  for (int again = 0; again < 2; ++again) {
    try {
      opened->constant(4);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::BadInput);
      EXPECT_THAT(error.what(), HasSubstr(path));
      EXPECT_THAT(error.what(), HasSubstr("constant big.2"));
    }
  }
  EXPECT_THROW(opened->verify_all_weights(), Error);
}

TEST_F(PlanFileTest, EvidenceIsOutsideTheIdentity) {
  std::string path = written("p", big_plan());
  Digest identity = PlanFile::open(path)->identity();
  Evidence evidence;
  for (int length : {1000, 3, 100000}) {
    evidence.entries = data::Json::array();
    evidence.entries.push_back(std::string(length, 'e'));
    replace_evidence(path, evidence);
    auto opened = PlanFile::open(path);
    EXPECT_EQ(opened->identity(), identity);
    EXPECT_EQ(opened->evidence().entries, evidence.entries);
    EXPECT_EQ(opened->sections().back().name, "evidence");
    EXPECT_NO_THROW(opened->verify_all_weights());
  }
  evidence.entries = data::Json::array();
  replace_evidence(path, evidence);
  EXPECT_EQ(read(path), read(written("fresh", big_plan())));
}

TEST_F(PlanFileTest, ReplacingEvidenceKeepsALinkALink) {
  std::string path = written("p");
  std::filesystem::create_symlink(path, file("link"));
  replace_evidence(file("link"), Evidence());
  EXPECT_TRUE(std::filesystem::is_symlink(file("link")));
}

TEST_F(PlanFileTest, TheGateReadsTheTemporaryAndAddsEvidence) {
  Plan plan = make_test_plan();
  plan.constants.resize(2);
  {
    PlanWriter writer(file("p"), plan);
    for (size_t i = 0; i < 2; ++i) {
      writer.write_constant(i, std::vector<std::byte>(writer.plan().constants[i].bytes));
    }
    writer.finish();
    EXPECT_NO_THROW(PlanFile::open(writer.temporary_path())->constant(1));
    Evidence evidence;
    evidence.entries.push_back("measured");
    writer.write_evidence(evidence);
    EXPECT_FALSE(std::filesystem::exists(file("p")));
    writer.commit();
  }
  EXPECT_EQ(PlanFile::open(file("p"))->evidence().entries.as_array("").size(), 1u);
}

TEST_F(PlanFileTest, WithoutCommitNothingIsLeft) {
  {
    PlanWriter writer(file("p"), make_test_plan());
    EXPECT_TRUE(std::filesystem::exists(writer.temporary_path()));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(file("")), {}), 0);
}

TEST_F(PlanFileTest, WhatCannotBeReadIsNotWritten) {
  Plan plan = make_test_plan();
  plan.stages[0].values[4].last_step = 0;
  EXPECT_THROW(PlanWriter(file("p"), plan), Error);
  EXPECT_FALSE(std::filesystem::exists(file("p")));
}

TEST_F(PlanFileTest, AReplacedPlanStaysReadable) {
  std::string path = written("p", big_plan());
  auto opened = PlanFile::open(path);
  Plan other = make_test_plan();
  written("p", other);
  EXPECT_NO_THROW(opened->verify_all_weights());
  EXPECT_NO_THROW(opened->verify_unchanged());
  EXPECT_EQ(PlanFile::open(path)->plan().constants.size(), 2u);
}

TEST_F(PlanFileTest, APlanCutWhileMappedIsAnError) {
  std::string path = written("p", big_plan());
  auto opened = PlanFile::open(path);
  EXPECT_NO_THROW(opened->constant(0));
  std::filesystem::resize_file(path, 8192);
  EXPECT_THROW(opened->constant(4), Error);
  EXPECT_THROW(opened->verify_unchanged(), Error);
}

TEST_F(PlanFileTest, OtherVersionsAreRefusedNamingBoth) {
  std::string path = written("p");
  {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(8);
    stream.put(static_cast<char>(kFormatMajor + 1));
  }
  try {
    PlanFile::open(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::WrongPlan);
    EXPECT_THAT(error.what(), HasSubstr("got 2.0, accepted 1.x"));
  }
}

// Rewrites header and table after `change`, so that only the change is wrong.
void rewrite_header(const std::string& path, const std::function<void(FileHeader&)>& change) {
  FileHeader header = decode_header(MappedFile::open(path)->bytes());
  change(header);
  std::vector<std::byte> bytes = encode_header(header);
  std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

// Turns the empty-able "template" section into one this reader does not know.
void add_unknown_section(const std::string& path, bool optional, uint16_t minor) {
  rewrite_header(path, [&](FileHeader& header) {
    header.minor = minor;
    SectionEntry unknown{"library", 0, 0, digest_of({}), optional};
    SectionEntry& evidence = header.sections.back();
    unknown.offset = evidence.offset;
    header.sections.insert(header.sections.end() - 1, unknown);
  });
}

TEST_F(PlanFileTest, UnknownSectionsNeedANewerMinorAndTheOptionalFlag) {
  for (bool optional : {false, true}) {
    for (uint16_t minor : {kFormatMinor, static_cast<uint16_t>(kFormatMinor + 1)}) {
      std::string path = written("p");
      add_unknown_section(path, optional, minor);
      if (optional && minor > kFormatMinor) {
        EXPECT_NO_THROW(PlanFile::open(path));
      } else {
        EXPECT_THROW(PlanFile::open(path), Error) << optional << " " << minor;
      }
    }
  }
}

TEST_F(PlanFileTest, MissingSectionsAreNamed) {
  std::string path = written("p");
  rewrite_header(path, [&](FileHeader& header) { header.sections[3].name = "renamed"; });
  try {
    PlanFile::open(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("section stages"));
  }
}

}  // namespace
}  // namespace tenon::plan
