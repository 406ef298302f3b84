// Runs every tests/passes/*.irtest. A file is
//   pass <name> [precision=bf16] [disabled=a,b] [types=name:f16,...] [quant=u8|u8z|u4|u4z] ("all"
//   is the whole pipeline) <graph>
//   ---
//   <expected graph, or the word unchanged>
// Graphs are compared in the text form, with values numbered anew and types inferred anew.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>

#include "base/file.h"
#include "base/text.h"
#include "ops/op_list.h"
#include "passes/pipeline.h"

namespace tenon::passes {
namespace {

struct Case {
  std::string pass;
  PassOptions options;
  std::string input, expected;
};

Case read_case(const std::string& path) {
  std::string text = read_text_file(path, 1 << 20);
  size_t line_end = text.find('\n'), bar = text.find("\n---\n");
  if (bar == text.npos) throw Error(ErrorCode::BadInput, "test has no --- line").at(path);
  Case result;
  std::istringstream words(text.substr(0, line_end));
  std::string word;
  words >> word >> result.pass;
  if (word != "pass") throw Error(ErrorCode::BadInput, "first line is not 'pass <name>'").at(path);
  while (words >> word) {
    std::string value = word.substr(word.find('=') + 1);
    if (word.starts_with("precision=")) {
      result.options.precision = dtype_from_name(value).value();
    } else if (word.starts_with("disabled=")) {
      result.options.disabled = split(value, ',');
    } else if (word.starts_with("quant=")) {
      bool four = value.starts_with("u4");
      Quantisation quantisation{{}, four ? "" : "i8"};
      quantisation.weights.codes = four ? DType::U4 : DType::U8;
      quantisation.weights.scales = four ? DType::F16 : DType::F32;
      quantisation.weights.group = four ? 32 : 0;
      quantisation.weights.zero_points = value.ends_with("z");
      result.options.quantisation = quantisation;
    } else if (word.starts_with("types=")) {
      for (const std::string& entry : split(value, ',')) {
        size_t colon = entry.rfind(':');
        result.options.types[entry.substr(0, colon)] =
            dtype_from_name(entry.substr(colon + 1)).value();
      }
    } else {
      throw Error(ErrorCode::BadInput, "unknown option of the test").at(path).got(word);
    }
  }
  result.input = text.substr(line_end + 1, bar - line_end);
  result.expected = text.substr(bar + 5);
  return result;
}

ir::Graph parsed(const std::string& text) {
  return ir::parse(text, ops::builtin_catalogue());
}

// parse() numbers values in the order of the text.
std::string canonical(const std::string& text) {
  return ir::print(parsed(text));
}

// The types written on node outputs. parse() infers its own and ignores these, so a test compares
// them: a file that says something else than holds would mislead its reader.
std::vector<std::string> written_types(const std::string& text) {
  static const std::regex typed(R"(%\w+: (\w+\[[^\]]*\]))");
  std::vector<std::string> types;
  for (const std::string& line : split(text, '\n')) {
    if (!line.starts_with("%")) continue;
    std::string outputs = line.substr(0, line.find(" = "));
    for (std::sregex_iterator at(outputs.begin(), outputs.end(), typed), end; at != end; ++at) {
      types.push_back((*at)[1]);
    }
  }
  return types;
}

size_t run_named(const Case& test, ir::Graph& graph) {
  if (test.pass == "all") {
    size_t changes = 0;
    for (const PassReport& report : run_passes(graph, test.options)) changes += report.changes;
    return changes;
  }
  for (const Pass& pass : pass_list()) {
    if (pass.name == test.pass) return pass.run(graph, test.options);
  }
  throw Error(ErrorCode::BadInput, "test names no pass").got(test.pass);
}

std::string folder() {
  return TENON_SOURCE_DIR "/tests/passes";
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".irtest") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class IrTest : public testing::TestWithParam<std::string> {};

TEST_P(IrTest, GivesTheExpectedGraph) {
  Case test = read_case(folder() + "/" + GetParam() + ".irtest");
  ir::Graph graph = parsed(test.input);
  ir::verify(graph);
  std::string before = canonical(test.input);
  EXPECT_EQ(written_types(test.input), written_types(before));
  size_t changes = run_named(test, graph);
  ir::verify(graph);
  std::string after = canonical(ir::print(graph));

  if (test.expected == "unchanged\n") {
    EXPECT_EQ(after, before);
    EXPECT_EQ(changes, 0u);
  } else {
    std::string expected = canonical(test.expected);
    EXPECT_EQ(written_types(test.expected), written_types(expected));
    EXPECT_NE(expected, before) << "write 'unchanged' where the pass must decline";
    EXPECT_EQ(after, expected);
    EXPECT_GT(changes, 0u);
  }
  EXPECT_EQ(run_named(test, graph), 0u) << "a second run changed the graph again";
  EXPECT_EQ(canonical(ir::print(graph)), after);
}

INSTANTIATE_TEST_SUITE_P(Passes, IrTest, testing::ValuesIn(case_names()),
                         [](const auto& test) { return test.param; });

// A folder that moved would otherwise leave nothing to test.
TEST(IrTestFolder, HasCasesOfEveryPass) {
  for (const Pass& pass : pass_list()) {
    int changing = 0, declining = 0;
    for (const std::string& name : case_names()) {
      Case test = read_case(folder() + "/" + name + ".irtest");
      if (test.pass != pass.name) continue;
      ++(test.expected == "unchanged\n" ? declining : changing);
    }
    EXPECT_GT(changing, 0) << pass.name;
    EXPECT_GT(declining, 0) << pass.name;
  }
}

}  // namespace
}  // namespace tenon::passes
