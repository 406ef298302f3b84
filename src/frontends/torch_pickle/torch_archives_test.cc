// Archives that PyTorch 1.13 and 2.11 wrote (tools/make_torch_archives.py), bit by bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/nonfinite.h"
#include "frontends/safetensors/safetensors_file.h"
#include "frontends/safetensors/safetensors_test_files.h"
#include "frontends/torch_pickle/torch_file.h"
#include "frontends/torch_pickle/torch_test_files.h"

namespace tenon::frontends {
namespace {

using testing::HasSubstr;

const std::string kArchives = TENON_GOLDEN_TORCH;  // tests/golden/torch.tar.xz, unpacked

class TorchArchives : public testing::TestWithParam<std::string> {
 protected:
  std::string folder() const { return kArchives + GetParam() + "/"; }
};

std::string bytes_of(const TensorView& view) {
  Tensor copy = Tensor::make(view.dtype, view.extents);
  copy_convert(view, copy);
  return {copy.as<const char>(), static_cast<size_t>(copy.view().bytes())};
}

TEST_P(TorchArchives, EveryTensorIsExact) {
  auto expected = SafetensorsFile::open(folder() + "expected.safetensors");
  std::map<std::string, std::shared_ptr<const WeightFile>> archives;
  std::map<std::string, size_t> counts;
  for (const WeightInfo& info : expected->weights()) {
    size_t slash = info.name.find('/');
    std::string archive = info.name.substr(0, slash), name = info.name.substr(slash + 1);
    auto& file = archives[archive];
    if (!file) file = open_weight_file(folder() + archive + ".pth");
    ASSERT_NE(file->find(name), nullptr) << info.name;
    EXPECT_EQ(file->find(name)->dtype, info.dtype) << info.name;
    ASSERT_EQ(file->find(name)->extents, info.extents) << info.name;
    EXPECT_EQ(bytes_of(file->view(name)), bytes_of(expected->view(info.name))) << info.name;
    ++counts[archive];
  }
  EXPECT_GE(archives.size(), 11u);
  for (const auto& [name, file] : archives) EXPECT_EQ(file->weights().size(), counts[name]) << name;
}

TEST_P(TorchArchives, StoragesAreMappedNotCopied) {
  auto file = open_weight_file(folder() + "views.pth");
  EXPECT_EQ(file->view("base").data, file->view("transposed").data);
  EXPECT_EQ(file->view("tied.a").data, file->view("tied.b").data);
  EXPECT_EQ(file->view("row").as<float>(), file->view("base").as<float>() + 4 * 8);
  EXPECT_EQ(file->view("broadcast").strides, (Extents{0, 1}));
}

TEST_P(TorchArchives, NaNsOfStridedTensorsAreFound) {
  auto found = find_nonfinite(*open_weight_file(folder() + "types.pth"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "special");
  EXPECT_EQ(found[0].nans, 1);
  EXPECT_EQ(found[0].infinities, 2);
  EXPECT_TRUE(find_nonfinite(*open_weight_file(folder() + "views.pth")).empty());
}

TEST_P(TorchArchives, OtherKindsAreRefusedByName) {
  for (auto [name, message, code] :
       {std::tuple{"sparse", "sparse tensors are not read", ErrorCode::Unsupported},
        {"complex", "complex numbers are not read", ErrorCode::Unsupported},
        {"quantised", "quantised tensors are not read", ErrorCode::Unsupported},
        {"legacy", "format before 1.6", ErrorCode::Unsupported},
        {"script", "a program, not weights", ErrorCode::Unsupported},
        {"whole_module", "torch.nn.modules.container.Sequential", ErrorCode::BadInput},
        {"function", "posixpath.join", ErrorCode::BadInput}}) {
    std::string path = folder() + name + ".pth";
    try {
      open_weight_file(path);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(message));
      EXPECT_THAT(error.what(), HasSubstr(path));
      EXPECT_NE(error.fix(), "") << error.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Written, TorchArchives, testing::Values("1.13", "2.11"),
                         [](const auto& version) {
                           return version.param == "1.13" ? "By1_13" : "By2_11";
                         });

TEST(TorchFile, AnUnalignedStorageIsCopiedOnce) {
  TestFolder folder;
  std::string data = little_endian(0x3f8000003f000000u);  // 0.5, 1
  std::vector<ForgedRecord> records = torch_records(tensor_pickle("a", 2), {{"0", data}});
  for (size_t extra = 0; extra < 8; ++extra) {
    // An extra field moves the data by a byte at a time.
    records[1].local_extra =
        number_bytes(0x4246, 2) + number_bytes(extra, 2) + std::string(extra, 'Z');
    auto file = open_weight_file(folder.write(std::to_string(extra), zip_bytes(records)));
    TensorView view = file->view("a");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.data) % 4, 0u);
    EXPECT_EQ(view.as<float>()[0], 0.5f);
    EXPECT_EQ(view.as<float>()[1], 1.0f);
    EXPECT_EQ(file->view("a").data, view.data);
  }
}

TEST(CheckpointFolder, OpensPyTorchFoldersAndShards) {
  TestFolder folder;
  std::string one = folder.write("one/pytorch_model.bin", small_torch_file("a", 2));
  for (const std::string& path : {folder.file("one"), one}) {
    EXPECT_EQ(CheckpointFolder::open(path)->weights().size(), 1u);
  }
  folder.write("two/pytorch_model-00001-of-00002.bin", small_torch_file("a", 2));
  folder.write("two/pytorch_model-00002-of-00002.bin", small_torch_file("b", 3));
  folder.write("two/pytorch_model.bin.index.json",
               R"({"weight_map": {"a": "pytorch_model-00001-of-00002.bin",)"
               R"( "b": "pytorch_model-00002-of-00002.bin"}})");
  EXPECT_EQ(CheckpointFolder::open(folder.file("two"))->view("b").count(), 3);
  folder.write("other/final.pt", small_torch_file("c", 1));
  folder.write("other/train.yaml", "");
  EXPECT_NE(CheckpointFolder::open(folder.file("other"))->find("c"), nullptr);
  folder.write("other/second.pt", small_torch_file("c", 1));
  EXPECT_THROW(CheckpointFolder::open(folder.file("other")), Error);
}

TEST(WeightFile, ContentDecidesAndNamesAreWarnedAbout) {
  TestFolder folder;
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  testing::internal::CaptureStderr();
  EXPECT_EQ(
      open_weight_file(folder.write("x.pth", safetensors_bytes(header, "d")))->weights().size(),
      1u);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("x.pth: is a safetensors file"));
  testing::internal::CaptureStderr();
  EXPECT_NE(open_weight_file(folder.write("x.safetensors", small_torch_file("a", 1)))->find("a"),
            nullptr);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("is a PyTorch archive"));
}

}  // namespace
}  // namespace tenon::frontends
