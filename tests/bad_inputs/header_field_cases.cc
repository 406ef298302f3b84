#include <filesystem>

#include "bad_input.h"
#include "safetensors_bytes.h"

namespace tenon::bad_inputs {
namespace {

Case file_case(const std::string& row, const std::string& name, Expect expect,
               std::function<std::string()> bytes, const std::string& message) {
  auto make = [bytes](const Folder& folder) { return folder.write("model.safetensors", bytes()); };
  return {row, name, expect, make, message, use_checkpoint};
}

// Cases of one field of one tensor.
void add_fields(std::vector<Case>& cases) {  // S16 to S22
  struct Row {
    const char *row, *name, *dtype, *shape, *offsets;
    size_t data;
    Expect expect;
    const char* message;
  };
  constexpr Expect R = Expect::Refuse, A = Expect::Accept;
  const Row rows[] = {
      {"S16", "Negative", "\"U8\"", "[1]", "[-1,0]", 1, R, "tensor t: data_offsets: value"},
      {"S16", "Fraction", "\"U8\"", "[1]", "[0,1.5]", 2, R, "tensor t: data_offsets: value"},
      {"S16", "Text", "\"U8\"", "[1]", "[\"0\",\"1\"]", 1, R, "tensor t: data_offsets: value"},
      {"S16", "Exponent", "\"U8\"", "[1000]", "[0,1e3]", 1000, R, "tensor t: data_offsets: value"},
      {"S16", "TwoToThe64", "\"U8\"", "[1]", "[0,18446744073709551616]", 1, R,
       "data_offsets: value"},
      {"S16", "TwoToThe63", "\"U8\"", "[1]", "[0,9223372036854775808]", 1, R,
       "data_offsets: value"},
      {"S16", "Null", "\"U8\"", "[1]", "null", 1, R, "tensor t: data_offsets: value"},
      {"S16", "NullInside", "\"U8\"", "[1]", "[0,null]", 1, R, "tensor t: data_offsets: value"},
      {"S16", "Three", "\"U8\"", "[1]", "[0,1,1]", 1, R, "tensor t: data_offsets: too many"},
      {"S16", "One", "\"U8\"", "[1]", "[0]", 1, R, "tensor t: data_offsets must be two"},
      {"S16", "Nested", "\"U8\"", "[1]", "[[0,1]]", 1, R, "tensor t: data_offsets: value"},
      {"S17", "TooFewBytes", "\"F32\"", "[2]", "[0,4]", 4, R, "tensor t: shape and type"},
      {"S17", "TooManyBytes", "\"F32\"", "[2]", "[0,9]", 9, R, "tensor t: shape and type"},
      {"S18", "WrapsTo4MiB", "\"F32\"", "[2,18446744073709551614]", "[0,8]", 8, R,
       "tensor t: shape"},
      {"S18", "WrapsSigned", "\"F32\"", "[2,9223372036854775807]", "[0,8]", 8, R,
       "tensor t: shape"},
      {"S19", "ZeroAfterOverflow", "\"F32\"", "[4294967296,4294967296,0]", "[0,0]", 0, R, "shape"},
      {"S19", "ZeroBeforeOverflow", "\"F32\"", "[0,4294967296,4294967296]", "[0,0]", 0, R, "shape"},
      {"S20", "OddFourBits", "\"F4\"", "[3]", "[0,2]", 2, R, "tensor t: values do not fill"},
      {"S21", "Unknown", "\"F33\"", "[1]", "[0,1]", 1, R, "tensor t: unknown dtype; got F33"},
      {"S21", "LowerCase", "\"f32\"", "[1]", "[0,4]", 4, R, "tensor t: unknown dtype; got f32"},
      {"S21", "Number", "17", "[1]", "[0,1]", 1, R, "tensor t: dtype: value"},
      {"S21", "List", "[\"U8\"]", "[1]", "[0,1]", 1, R, "tensor t: dtype: value"},
      {"S21", "Empty", "\"\"", "[1]", "[0,1]", 1, R, "tensor t: unknown dtype"},
      {"S22", "ZeroExtent", "\"F32\"", "[2,0]", "[0,0]", 0, A, ""},
      {"S22", "Scalar", "\"F32\"", "[]", "[0,4]", 4, A, ""},
      {"S22", "SixteenOnes", "\"U8\"", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]", 1, A, ""},
      {"S22", "Rank17", "\"U8\"", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]", 1, R,
       "shape: tensor rank"},
      {"S22", "NotAList", "\"U8\"", "1", "[0,1]", 1, R, "tensor t: shape: value"},
  };
  for (const Row& row : rows) {
    std::string bytes = one_tensor(row.dtype, row.shape, row.offsets, row.data);
    cases.push_back(file_case(
        row.row, row.name, row.expect, [bytes] { return bytes; }, row.message));
  }
  std::string rank = "[1";
  for (int i = 1; i < 10'000; ++i) rank += ",1";
  std::string bytes = one_tensor("\"U8\"", rank + "]", "[0,1]", 1);
  cases.push_back(file_case(
      "S22", "Rank10000", R, [bytes] { return bytes; }, "shape: tensor rank"));
}

void add_metadata(std::vector<Case>& cases) {  // S23
  auto metadata = [&](const std::string& name, const std::string& text, Expect expect,
                      const std::string& message) {
    std::string bytes = safetensors("{\"__metadata__\":" + text + "}", "");
    cases.push_back(file_case(
        "S23", name, expect, [bytes] { return bytes; }, message));
  };
  metadata("Good", R"({"format":"pt","note":""})", Expect::Accept, "");
  metadata("Number", R"({"a":1})", Expect::Refuse, "metadata: a: value");
  metadata("Object", R"({"a":{}})", Expect::Refuse, "metadata: a: value");
  metadata("Null", R"({"a":null})", Expect::Refuse, "metadata: a: value");
  metadata("NotAnObject", R"("a")", Expect::Refuse, "metadata: value");
  metadata("KeyTwice", R"({"a":"1","a":"2"})", Expect::Refuse, "metadata: a: key appears twice");
  metadata("Deep", R"({"a":)" + std::string(100'000, '['), Expect::Refuse, "metadata: a: value");
  cases.push_back(file_case(
      "S23", "FiftyMegabytes", Expect::Accept,
      [] {
        return safetensors("{\"__metadata__\":{\"a\":\"" + std::string(50'000'000, 'm') + "\"}}",
                           "");
      },
      ""));
  cases.push_back(file_case(
      "S23", "StringOverTheLimit", Expect::Refuse,
      [] {
        return safetensors("{\"__metadata__\":{\"a\":\"" + std::string(99'000'000, 'm') + "\"}}",
                           "");
      },
      "string is too long"));
  cases.push_back(file_case(
      "S23", "BlanksInside", Expect::Refuse,
      [] { return safetensors("{" + std::string(99'000'000, ' ') + "}", ""); },
      "token or blanks too long"));
  cases.push_back(file_case(
      "S23", "DigitsWithoutEnd", Expect::Refuse,
      [] { return safetensors("{\"a\":{\"shape\":[" + std::string(99'000'000, '1') + "]}}", ""); },
      "token or blanks too long"));
  cases.push_back(file_case(
      "S23", "MillionsOfKeys", Expect::Refuse,
      [] {
        std::string header = "{\"__metadata__\":{";
        for (int i = 0; i < 5'000'000; ++i) header += '"' + std::to_string(i) + "\":\"\",";
        return safetensors(header + "\"end\":\"\"}}", "");
      },
      "too many metadata entries"));
}

void add_names(std::vector<Case>& cases) {  // S24
  auto named = [&](const std::string& name, const std::string& tensor, Expect expect,
                   const std::string& message) {
    std::string bytes = byte_tensors({"first", tensor});
    cases.push_back(file_case(
        "S24", name, expect, [bytes] { return bytes; }, message));
  };
  named("Empty", "", Expect::Refuse, "tensor number 1: tensor name is empty");
  named("Nul", "a\\u0000b", Expect::Refuse, "tensor number 1: ");
  named("Path", "../../etc/passwd", Expect::Accept, "");
  named("OneMegabyte", std::string(1'000'000, 'n'), Expect::Refuse, "tensor number 1: ");
  named("LoneSurrogate", "\\ud800", Expect::Refuse, "header: byte ");
  named("TerminalCodes", "\\u001b[2Jx", Expect::Accept, "");
  // Refused for its dtype: the message shows the name, and must not steer the terminal.
  std::string steering =
      safetensors("{" + entry("\\u001b[2J\\n\\u009b", "\"F33\"", "[1]", "[0,1]") + "}", "x");
  cases.push_back(file_case(
      "S24", "TerminalCodesInTheMessage", Expect::Refuse, [steering] { return steering; },
      "tensor \\x1b[2J\\n"));
}

}  // namespace

std::vector<Case> header_field_cases() {
  std::vector<Case> cases;
  add_fields(cases);
  add_metadata(cases);
  add_names(cases);
  return cases;
}

}  // namespace tenon::bad_inputs
