#include "frontends/safetensors/safetensors_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "frontends/safetensors/nonfinite.h"
#include "frontends/safetensors/safetensors_test_files.h"
#include "frontends/safetensors/safetensors_writer.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& path) {
  try {
    SafetensorsFile::open(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(SafetensorsFile, ReadsWhatTheWriterWrote) {
  TestFolder folder;
  std::vector<float> floats = {1.5f, -2.0f, 0.25f, 4.0f, 5.0f, 6.0f};
  std::vector<int64_t> ids = {7, -8};
  std::vector<uint8_t> bytes = {1, 0, 1};
  NamedTensor a{"a.weight", TensorView(floats.data(), DType::F32, {2, 3})};
  NamedTensor b{"ids", TensorView(ids.data(), DType::I64, {2})};
  NamedTensor c{"mask", TensorView(bytes.data(), DType::Bool, {3})};
  NamedTensor d{"scalar", TensorView(floats.data(), DType::F32, {})};
  write_safetensors(folder.file("x.safetensors"), {b, a, d, c},
                    {{"format", "pt"}, {"note", "a \"b\""}});

  auto file = SafetensorsFile::open(folder.file("x.safetensors"));
  ASSERT_EQ(file->weights().size(), 4u);
  EXPECT_EQ(file->weights()[0].name, "ids");
  EXPECT_EQ(file->weights()[1].extents, (Extents{2, 3}));
  EXPECT_EQ(file->weights()[3].dtype, DType::Bool);
  EXPECT_EQ(file->find("scalar")->extents.rank(), 0);
  EXPECT_EQ(file->find("nothing"), nullptr);
  EXPECT_THROW(file->view("nothing"), Error);
  TensorView view = file->view("a.weight");
  for (int i = 0; i < 6; ++i) EXPECT_EQ(view.as<float>()[i], floats[i]);
  EXPECT_EQ(file->view("ids").as<int64_t>()[1], -8);
  EXPECT_EQ(file->view("mask").as<uint8_t>()[2], 1);
}

TEST(SafetensorsFile, WriterGivesTheSameBytesTwice) {
  TestFolder folder;
  float value = 3.0f;
  NamedTensor tensor{"t", TensorView(&value, DType::F32, {1})};
  write_safetensors(folder.file("a"), {tensor});
  write_safetensors(folder.file("b"), {tensor});
  auto a = MappedFile::open(folder.file("a")), b = MappedFile::open(folder.file("b"));
  EXPECT_EQ(digest_of(a->bytes()), digest_of(b->bytes()));
  EXPECT_EQ(a->bytes().size() % 64, 4u);  // the data starts at a multiple of 64
}

TEST(SafetensorsFile, WriterRefusesTypesWithoutAName) {
  TestFolder folder;
  uint8_t value = 0;
  NamedTensor tensor{"t", TensorView(&value, DType::U4, {2})};
  EXPECT_THROW(write_safetensors(folder.file("x"), {tensor}), Error);
  EXPECT_FALSE(std::filesystem::exists(folder.file("x")));
}

TEST(SafetensorsFile, TensorsComeInTheOrderOfTheirBytes) {
  TestFolder folder;
  std::string path =
      folder.write("x", safetensors_bytes(R"({"c":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},)"
                                          R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                                          R"("e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},)"
                                          R"("b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
                                          "wxyz"));
  auto file = SafetensorsFile::open(path);
  std::string names, bytes;
  for (const WeightInfo& info : file->weights()) {
    names += info.name;
    TensorView view = file->view(info.name);
    bytes.append(view.as<char>(), view.count());
  }
  EXPECT_EQ(names, "aebc");
  EXPECT_EQ(bytes, "wxyz");
}

TEST(SafetensorsFile, UnalignedTensorsAreCopiedOnce) {
  TestFolder folder;
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                       R"("b":{"dtype":"I32","shape":[2],"data_offsets":[1,9]}})";
  while (header.size() % 8 != 0) header += ' ';
  std::string data = std::string("x") + std::string("\1\0\0\0\2\0\0\0", 8);
  auto file = SafetensorsFile::open(folder.write("x", safetensors_bytes(header, data)));
  TensorView view = file->view("b");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % 4, 0u);
  EXPECT_EQ(view.as<int32_t>()[0], 1);
  EXPECT_EQ(view.as<int32_t>()[1], 2);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { EXPECT_EQ(file->view("b").data, view.data); });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SafetensorsFile, HighRanksLoseLeadingOnes) {
  TestFolder folder;
  auto open_shape = [&](const std::string& shape) {
    std::string header = R"({"t":{"dtype":"U8","shape":)" + shape + R"(,"data_offsets":[0,2]}})";
    return SafetensorsFile::open(folder.write("x", safetensors_bytes(header, "ab")));
  };
  EXPECT_EQ(open_shape("[1,1,1,1,2,1,1,1,1,1]")->weights()[0].extents,
            (Extents{1, 1, 2, 1, 1, 1, 1, 1}));
  EXPECT_THROW(open_shape("[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"), Error);  // rank 17
}

TEST(SafetensorsFile, RanksThatCannotShrinkAreUnsupported) {
  TestFolder folder;
  std::string header = R"({"t":{"dtype":"U8","shape":[2,2,2,2,2,2,2,2,2],"data_offsets":[0,512]}})";
  try {
    SafetensorsFile::open(folder.write("x", safetensors_bytes(header, std::string(512, 'a'))));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::Unsupported);
    EXPECT_THAT(error.what(), HasSubstr("tensor t"));
  }
}

TEST(SafetensorsFile, SubByteTypesAreRefusedWithAReason) {
  TestFolder folder;
  std::string header = R"({"t":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}})";
  std::string message = message_of(folder.write("x", safetensors_bytes(header, "ab")));
  EXPECT_THAT(message, HasSubstr("fewer than 8 bits"));
  EXPECT_THAT(message, HasSubstr("tensor t"));
}

TEST(SafetensorsFile, ErrorsNameFileTensorAndField) {
  TestFolder folder;
  std::string header = R"({"w":{"dtype":"F32","shape":[2,-1],"data_offsets":[0,8]}})";
  std::string message =
      message_of(folder.write("bad.safetensors", safetensors_bytes(header, "12345678")));
  EXPECT_THAT(message, HasSubstr("bad.safetensors: header: tensor w: shape"));
  EXPECT_THAT(message, HasSubstr("got -1"));
}

TEST(SafetensorsFile, ChangedFilesAreNoticed) {
  TestFolder folder;
  std::string header = R"({"t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  std::string path = folder.write("x", safetensors_bytes(header, "ab"));
  auto file = SafetensorsFile::open(path);
  EXPECT_NO_THROW(file->verify_unchanged());
  std::filesystem::resize_file(path, 60);
  EXPECT_THROW(file->verify_unchanged(), Error);
}

TEST(FindNonfinite, NamesTheTensorsOfEveryFloatType) {
  TestFolder folder;
  std::vector<float> good = {1, 2, 3, -0.0f, 3e38f}, bad = {0, NAN, INFINITY, -INFINITY};
  std::vector<uint16_t> half = {0x7BFF, 0xFC00}, bf = {0x7F7F, 0x7FC0};
  std::vector<double> wide = {1e308, -NAN};
  std::vector<uint8_t> e4 = {0x7E, 0xFF}, e5 = {0x7B, 0x7C};
  write_safetensors(folder.file("x"), {{"wide", TensorView(wide.data(), DType::F64, {2})},
                                       {"good", TensorView(good.data(), DType::F32, {5})},
                                       {"bad", TensorView(bad.data(), DType::F32, {2, 2})},
                                       {"half", TensorView(half.data(), DType::F16, {2})},
                                       {"bf", TensorView(bf.data(), DType::BF16, {2})},
                                       {"e4", TensorView(e4.data(), DType::F8E4M3, {2})},
                                       {"e5", TensorView(e5.data(), DType::F8E5M2, {2})},
                                       {"ids", TensorView(e4.data(), DType::U8, {2})}});
  std::vector<NonFiniteWeight> found = find_nonfinite(*SafetensorsFile::open(folder.file("x")));
  std::string summary;
  for (const NonFiniteWeight& weight : found) {
    summary += weight.name + ":" + std::to_string(weight.nans) + "," +
               std::to_string(weight.infinities) + "@" + std::to_string(weight.first) + " ";
  }
  EXPECT_EQ(summary, "wide:1,0@1 bad:1,2@1 half:0,1@1 bf:1,0@1 e4:1,0@1 e5:0,1@1 ");
}

}  // namespace
}  // namespace tenon::frontends
