#include "data/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::data {
namespace {

TEST(Json, RoundTrips) {
  std::string text = R"({"a": [1, -2.5, 1e300, true, null, "x\n\"\u00e9"], "b": {}, "c": []})";
  Json value = parse_json(text);
  EXPECT_EQ(parse_json(value.dump()), value);
  EXPECT_EQ(parse_json(value.dump(2)), value);
  EXPECT_EQ(value.at("a", "$").as_array("$.a")[5].as_string(""), "x\n\"\xc3\xa9");
}

TEST(Json, RefusesWhatIsNotStrict) {
  for (const char* text :
       {"", "{", "{}x", "[1,]", "{\"a\":1,\"a\":2}", "\"\xff\"", "nan", "'a'", "01"}) {
    EXPECT_THROW(parse_json(text), Error) << text;
  }
  std::string deep(1000, '[');
  EXPECT_THROW(parse_json(deep), Error);
}

TEST(Json, NamesThePathOfAWrongKind) {
  Json value = parse_json(R"({"layers": "12"})");
  try {
    value.at("layers", "$").as_int("$.layers");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "$.layers: value has the wrong kind; got a string, accepted a whole number");
  }
}

}  // namespace
}  // namespace tenon::data
