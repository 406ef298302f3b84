#include "frontends/safetensors/checkpoint_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "frontends/safetensors/model_folder.h"
#include "frontends/safetensors/safetensors_test_files.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

// One U8 tensor of one byte per name.
std::string shard(const std::vector<std::string>& names, char first) {
  std::string header = "{", data;
  for (const std::string& name : names) {
    std::string begin = std::to_string(data.size()), end = std::to_string(data.size() + 1);
    header += (data.empty() ? "\"" : ",\"") + name +
              "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[" + begin + "," + end + "]}";
    data += first++;
  }
  return safetensors_bytes(header + "}", data);
}

Error error_of(const std::string& path) {
  try {
    CheckpointFolder::open(path);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::Internal, "no error");
}

TEST(CheckpointFolder, OpensOneFileOrItsFolder) {
  TestFolder folder;
  std::string path = folder.write("model.safetensors", shard({"a", "b"}, 'p'));
  for (const std::string& given : {path, folder.path()}) {
    auto checkpoint = CheckpointFolder::open(given);
    ASSERT_EQ(checkpoint->weights().size(), 2u);
    EXPECT_EQ(*checkpoint->view("b").as<char>(), 'q');
    EXPECT_EQ(checkpoint->files().size(), 1u);
    EXPECT_NO_THROW(checkpoint->verify_unchanged());
  }
}

TEST(CheckpointFolder, OpensShards) {
  TestFolder folder;
  folder.write("m-1.safetensors", shard({"c", "a"}, 'p'));
  folder.write("m-2.safetensors", shard({"b", "extra"}, 's'));
  std::string index = folder.write("model.safetensors.index.json",
                                   R"({"metadata": {"total_size": 3}, "weight_map": )"
                                   R"({"a": "m-1.safetensors", "b": "m-2.safetensors",)"
                                   R"( "c": "m-1.safetensors"}})");
  for (const std::string& given : {folder.path(), index}) {
    testing::internal::CaptureStderr();
    auto checkpoint = CheckpointFolder::open(given);
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("m-2.safetensors: 1 tensors"));
    ASSERT_EQ(checkpoint->weights().size(), 4u);
    EXPECT_EQ(checkpoint->weights()[0].name, "c");
    EXPECT_EQ(*checkpoint->view("b").as<char>(), 's');
    EXPECT_EQ(*checkpoint->view("extra").as<char>(), 't');
    EXPECT_EQ(checkpoint->find("z"), nullptr);
    EXPECT_THROW(checkpoint->view("z"), Error);
    EXPECT_EQ(checkpoint->files().size(), 2u);
  }
}

TEST(CheckpointFolder, FollowsTheLinksOfAHuggingFaceCache) {
  TestFolder folder;
  folder.write("blobs/abc", shard({"a"}, 'x'));
  folder.write("snapshots/rev/config.json", "{}");
  std::filesystem::create_symlink("../../blobs/abc",
                                  folder.file("snapshots/rev/model.safetensors"));
  auto checkpoint = CheckpointFolder::open(folder.file("snapshots/rev"));
  EXPECT_EQ(*checkpoint->view("a").as<char>(), 'x');
}

TEST(CheckpointFolder, TheSameNameInTwoShardsIsRefused) {
  TestFolder folder;
  folder.write("1.safetensors", shard({"a", "b"}, 'p'));
  folder.write("2.safetensors", shard({"c", "a"}, 's'));
  folder.write(
      "model.safetensors.index.json",
      R"({"weight_map": {"b": "1.safetensors", "c": "2.safetensors", "a": "1.safetensors"}})");
  Error error = error_of(folder.path());
  EXPECT_EQ(error.code(), ErrorCode::BadInput);
  EXPECT_THAT(error.what(), HasSubstr("two shards"));
  EXPECT_EQ(error.got(), "a");
}

TEST(CheckpointFolder, AFolderWithoutWeightsSaysWhatItHolds) {
  TestFolder folder;
  folder.write("adapter.safetensors", shard({"a"}, 'x'));
  Error error = error_of(folder.path());
  EXPECT_EQ(error.code(), ErrorCode::BadInput);
  EXPECT_EQ(error.got(), "adapter.safetensors");
}

TEST(CheckpointFolder, SaysWhatAFolderIsThatIsNoModel) {
  TestFolder shards, adapter, foreign;
  shards.write("model-00001-of-00002.safetensors", shard({"a"}, 'x'));
  Error error = error_of(shards.path());
  EXPECT_THAT(error.problem(), HasSubstr("without their index"));
  EXPECT_EQ(error.accepted(), "model.safetensors.index.json");
  adapter.write("adapter_config.json", "{}");
  adapter.write("adapter_model.bin", "x");
  error = error_of(adapter.path());
  EXPECT_EQ(error.code(), ErrorCode::Unsupported);
  EXPECT_THAT(error.fix(), HasSubstr("merge_and_unload"));
  foreign.write("model-q4.gguf", "GGUF");
  EXPECT_EQ(error_of(foreign.path()).got(), "model-q4.gguf");
}

TEST(CheckpointFolder, AllMissingShardsAreNamedAtOnce) {
  TestFolder folder;
  folder.write("1.safetensors", shard({"a"}, 'p'));
  folder.write(
      "model.safetensors.index.json",
      R"({"weight_map": {"b": "2.safetensors", "c": "3.safetensors", "a": "1.safetensors"}})");
  Error error = error_of(folder.path());
  EXPECT_THAT(error.what(), HasSubstr("2 problems"));
  EXPECT_THAT(error.what(), HasSubstr("2.safetensors: cannot open"));
  EXPECT_THAT(error.what(), HasSubstr("3.safetensors: cannot open"));
}

TEST(ModelFolder, ReadsConfigAndGeneration) {
  TestFolder folder;
  folder.write("config.json", R"({"model_type": "llama", "rope_theta": 10000.0})");
  folder.write("model.safetensors", "");
  ModelFolder plain = read_model_folder(folder.path());
  EXPECT_EQ(plain.config.get_string("model_type", ""), "llama");
  EXPECT_TRUE(plain.generation.as_object("").empty());
  folder.write("generation_config.json", R"({"eos_token_id": 2})");
  ModelFolder model = read_model_folder(folder.file("model.safetensors"));
  EXPECT_EQ(model.path, folder.path());
  EXPECT_EQ(model.generation.get_int("eos_token_id", 0), 2);
}

TEST(ModelFolder, ErrorsNameTheFile) {
  TestFolder folder;
  EXPECT_THROW(read_model_folder(folder.file("absent")), Error);
  folder.write("config.json", R"({"a": )");
  try {
    read_model_folder(folder.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("config.json"));
    EXPECT_THAT(error.what(), HasSubstr("byte"));
  }
  folder.write("config.json", "[1]");
  EXPECT_THROW(read_model_folder(folder.path()), Error);
}

}  // namespace
}  // namespace tenon::frontends
