// Runs a fuzz target without libFuzzer: every file of the folders named, then changed copies of
// them, the same in every run.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "fuzz_input.h"

namespace {

constexpr int kCopiesOfEach = 200;

std::vector<std::string> read_inputs(int count, char** names) {
  std::vector<std::string> paths, inputs;
  for (int i = 0; i < count; ++i) {
    if (!std::filesystem::is_directory(names[i])) {
      paths.push_back(names[i]);
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(names[i])) {
      paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    std::ifstream stream(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return inputs;
}

void run(const std::string& input) {
  // A copy that ends where its memory ends, so that a sanitizer sees a read behind it.
  std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string change(std::string input, const std::string& other, std::mt19937& random) {
  auto below = [&](size_t most) { return most == 0 ? 0 : random() % most; };
  for (size_t changes = 1 + below(4); changes > 0; --changes) {
    size_t at = below(input.size());
    switch (below(6)) {
      case 0:
        if (!input.empty()) input[at] = static_cast<char>(input[at] ^ 1 << below(8));
        break;
      case 1:
        if (!input.empty()) input[at] = static_cast<char>(random());
        break;
      case 2:
        input.resize(at);
        break;
      case 3:
        input.insert(at, input.substr(at, 1 + below(16)));
        break;
      case 4:
        input.erase(at, 1 + below(16));
        break;
      case 5:
        input.replace(at, below(32), other.substr(below(other.size()), below(32)));
        break;
    }
  }
  return input;
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<std::string> inputs = read_inputs(count - 1, arguments + 1);
  if (inputs.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER_OR_FILE...: no inputs\n", arguments[0]);
    return 2;
  }
  for (const std::string& input : inputs) run(input);
  std::mt19937 random(1);
  size_t copies = 0;
  for (const std::string& input : inputs) {
    for (int i = 0; i < kCopiesOfEach; ++i, ++copies) {
      run(change(input, inputs[random() % inputs.size()], random));
    }
  }
  std::printf("%zu inputs and %zu changed copies of them\n", inputs.size(), copies);
  return 0;
}
