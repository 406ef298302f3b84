#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "bad_input.h"
#include "base/log.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "frontends/safetensors/nonfinite.h"
#include "safetensors_bytes.h"

namespace tenon::bad_inputs {
namespace {

// Cases that are one file of these bytes.
class Files {
 public:
  void refuse(const std::string& row, const std::string& name, const std::string& bytes,
              const std::string& message) {
    add(row, name, Expect::Refuse, bytes, message);
  }
  void accept(const std::string& row, const std::string& name, const std::string& bytes) {
    add(row, name, Expect::Accept, bytes, "");
  }
  Case& add(const std::string& row, const std::string& name, Expect expect,
            const std::string& bytes, const std::string& message) {
    return add(
        row, name, expect,
        [bytes](const Folder& folder) { return folder.write("model.safetensors", bytes); },
        message);
  }
  Case& add(const std::string& row, const std::string& name, Expect expect,
            std::function<std::string(const Folder&)> make, const std::string& message) {
    cases_.push_back({row, name, expect, std::move(make), message, use_checkpoint});
    return cases_.back();
  }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  std::vector<Case> cases_;
};

void add_lengths(Files& files) {  // S01 to S04
  std::string good = byte_tensors({"a"});
  for (size_t bytes = 0; bytes < 8; ++bytes) {
    files.refuse("S01", "Bytes" + std::to_string(bytes), good.substr(0, bytes), "byte 0: ");
  }
  files.refuse("S02", "HeaderPastTheFile", little_endian(good.size()) + good.substr(8),
               "have " + std::to_string(good.size() - 8) + ", need " + std::to_string(good.size()));
  files.refuse("S03", "LengthAllOnes", little_endian(~0ull) + good.substr(8), "byte 0: ");
  files.refuse("S03", "LengthTopBit", little_endian(1ull << 63) + good.substr(8), "byte 0: ");
  files.refuse("S03", "LengthWraps", little_endian(~0ull - 7) + good.substr(8), "byte 0: ");
  auto padded = [](size_t bytes) {
    return [bytes](const Folder& folder) {
      std::string header = "{}";
      header.resize(bytes, ' ');
      return folder.write("model.safetensors", safetensors(header, ""));
    };
  };
  files.add("S04", "OneOverTheLimit", Expect::Refuse, padded(100'000'001),
            "at most 100000000 bytes");
  files.add("S04", "ExactlyTheLimit", Expect::Accept, padded(100'000'000), "");
}

void add_syntax(Files& files) {  // S05 to S09
  std::string tensor = entry("a", "\"U8\"", "[1]", "[0,1]");
  files.refuse("S05", "NameNotUtf8",
               safetensors("{" + entry("\xFF", "\"U8\"", "[1]", "[0,1]") + "}", "x"),
               "header: byte ");
  files.refuse("S05", "HeaderNotUtf8", safetensors("\xFF\xFE{}", ""), "header: byte ");
  for (auto [name, header] : {std::pair{"OpenBrace", "{"},
                              {"TextAfter", "{}x"},
                              {"Array", "[]"},
                              {"Text", "\"a\""},
                              {"Null", "null"},
                              {"Number", "17"},
                              {"Empty", ""},
                              {"TwoObjects", "{}{}"},
                              {"Comma", "{,}"}}) {
    files.refuse("S06", name, safetensors(header, ""), "header: ");
  }
  files.accept("S07", "TrailingBlanks", safetensors("{" + tensor + "}  \t\r\n ", "x"));
  files.accept("S08", "LeadingBlanks", safetensors(" \n{" + tensor + "}", "x"));
  files.refuse("S09", "NameTwice",
               safetensors("{" + tensor + "," + entry("a", "\"U8\"", "[1]", "[1,2]") + "}", "xy"),
               "tensor a: tensor name appears twice");
  files.refuse("S09", "EmptyTensorTwice",
               safetensors("{" + entry("a", "\"U8\"", "[0]", "[0,0]") + "," +
                               entry("a", "\"U8\"", "[0]", "[0,0]") + "}",
                           ""),
               "tensor name appears twice");
  files.refuse("S09", "FieldTwice",
               safetensors(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1]}})", ""),
               "tensor a: dtype: field appears twice");
}

// A header of `count` entries; "#" in `offsets` and in the name stands for the index.
std::string many_entries(int64_t count, const std::string& shape, const std::string& offsets) {
  std::string header = "{";
  for (int64_t i = 0; i < count; ++i) {
    header += (i ? "," : "") + entry(std::to_string(i), "\"U8\"", shape, offsets);
  }
  return header + "}";
}

void add_overlaps(Files& files) {  // S10 to S13
  files.refuse("S10", "TenOverOneRange",
               safetensors(many_entries(10, "[16]", "[0,16]"), std::string(16, 'd')),
               "tensor 1: tensors overlap");
  auto many = [](int64_t count, std::string shape, std::string offsets, size_t data) {
    return [=](const Folder& folder) {
      return folder.write("model.safetensors",
                          safetensors(many_entries(count, shape, offsets), std::string(data, 'd')));
    };
  };
  files
      .add("S11", "HundredThousand", Expect::Refuse, many(100'000, "[16]", "[0,16]", 16),
           "tensor 1: ")
      .most_seconds = 5;
  files
      .add("S11", "MostThatFit", Expect::Refuse, many(1'600'000, "[16]", "[0,16]", 16),
           "tensor 1: ")
      .most_seconds = 5;
  files
      .add("S11", "MostThatFitAndEmpty", Expect::Refuse, many(1'700'000, "[0]", "[0,0]", 0),
           "too many tensors")
      .most_seconds = 5;
  // Every tensor overlaps its neighbour by one byte, which the sum of the sizes cannot show.
  files.refuse("S10", "NeighboursOverlap",
               safetensors("{" + entry("a", "\"U8\"", "[2]", "[0,2]") + "," +
                               entry("b", "\"U8\"", "[2]", "[1,3]") + "}",
                           "abcd"),
               "tensor b: tensor overlaps the one before it");
  files
      .add(
          "S11", "TenMillion", Expect::Refuse,
          [](const Folder& folder) {
            // 10 million entries need more than the longest header; the length alone refuses them.
            std::string path = folder.write("model.safetensors", little_endian(600'000'000) + "{");
            std::filesystem::resize_file(path, 600'000'024);
            return path;
          },
          "byte 0: header is too long")
      .most_seconds = 5;
  files.refuse("S12", "Gap",
               safetensors("{" + entry("a", "\"U8\"", "[1]", "[0,1]") + "," +
                               entry("b", "\"U8\"", "[1]", "[2,3]") + "}",
                           "xyz"),
               "tensor b: gap");
  files.refuse("S12", "GapAtTheStart", one_tensor("\"U8\"", "[1]", "[1,2]", 2), "tensor t: gap");
  files.refuse("S13", "ZipGluedOn", byte_tensors({"a"}) + "PK\3\4", "data byte 1: bytes after");
  files.refuse("S13", "DataWithoutTensors", safetensors("{}", "x"), "data byte 0: bytes after");
}

void add_ranges(Files& files) {  // S14, S15
  std::string good = one_tensor("\"F32\"", "[1000]", "[0,4000]", 4000);
  for (size_t cut : {1, 2}) {
    files.refuse("S14", "Last" + std::to_string(cut), good.substr(0, good.size() - cut),
                 "tensor t: data_offsets: range ends after the file");
  }
  for (size_t size = 512; size < good.size(); size += 512) {
    files.refuse("S14", "Cut" + std::to_string(size), good.substr(0, size), "tensor t: ");
  }
  files.refuse("S14", "CutInTheHeader", good.substr(0, 40), "header is longer than the file");
  files.refuse("S15", "BeginAfterEnd", one_tensor("\"U8\"", "[1]", "[1,0]", 1), "tensor t: ");
  files.refuse("S15", "EndPastTheData", one_tensor("\"U8\"", "[9]", "[0,9]", 8), "tensor t: ");
  files.refuse("S15", "BeginPastTheData", one_tensor("\"U8\"", "[1]", "[9,10]", 8), "tensor t: ");
  files.refuse("S15", "EndPastTheAddresses",
               one_tensor("\"U8\"", "[9223372036854775807]", "[0,9223372036854775807]", 8),
               "tensor t: ");
}

std::string floats(const std::vector<float>& values) {
  std::string data(values.size() * 4, '\0');
  std::memcpy(data.data(), values.data(), data.size());
  return data;
}

// What `--check-finite` does: a warning for each tensor.
void use_checkpoint_and_check(const std::string& path) {
  auto checkpoint = frontends::CheckpointFolder::open(path);
  for (const auto& weight : frontends::find_nonfinite(*checkpoint)) {
    log_warn("tensor " + weight.name + " holds " + std::to_string(weight.nans) + " NaN and " +
             std::to_string(weight.infinities) + " infinities");
  }
}

void add_nonfinite(Files& files) {  // S25
  std::string bytes = safetensors("{" + entry("good", "\"F32\"", "[2]", "[0,8]") + "," +
                                      entry("bad", "\"F32\"", "[3]", "[8,20]") + "}",
                                  floats({1, 2, NAN, -INFINITY, 3}));
  files.accept("S25", "NonFinite", bytes);
  files
      .add("S25", "NonFiniteChecked", Expect::Warn, bytes,
           "tensor bad holds 1 NaN and 1 infinities")
      .open = use_checkpoint_and_check;
}

}  // namespace

std::vector<Case> safetensors_cases() {
  Files files;
  add_lengths(files);
  add_syntax(files);
  add_overlaps(files);
  add_ranges(files);
  add_nonfinite(files);
  return files.take();
}

}  // namespace tenon::bad_inputs
