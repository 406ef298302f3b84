#include "models/rotary.h"

#include <gtest/gtest.h>

namespace tenon::models {
namespace {

Rotary read(std::string_view text, int64_t dim = 8, int64_t context = 128) {
  data::Json config = data::parse_json(text);
  ConfigReader reader(config);
  Rotary rotary = read_rotary(reader, dim, context);
  reader.throw_if_any();
  return rotary;
}

TEST(Rotary, DefaultIsAGeometricSeries) {
  Rotary rotary = read(R"({"rope_theta": 10000.0})");
  ASSERT_EQ(rotary.inv_freq.size(), 4u);
  EXPECT_FLOAT_EQ(rotary.inv_freq[0], 1.0f);
  EXPECT_FLOAT_EQ(rotary.inv_freq[1], 0.1f);
  EXPECT_FLOAT_EQ(rotary.inv_freq[3], 0.001f);
}

TEST(Rotary, LinearDividesAndLlama3LeavesFastOnesAlone) {
  EXPECT_FLOAT_EQ(read(R"({"rope_scaling": {"type": "linear", "factor": 4.0}})").inv_freq[0],
                  0.25f);
  Rotary rotary =
      read(R"({"rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})");
  EXPECT_FLOAT_EQ(rotary.inv_freq[0], 1.0f);
  EXPECT_NEAR(rotary.inv_freq[3], std::pow(500000.0, -0.75) / 8, 1e-9);
}

TEST(Rotary, RefusesUnknownKindsAndBadFactors) {
  EXPECT_THROW(read(R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})"), Error);
  EXPECT_THROW(read(R"({"rope_scaling": {"type": "linear", "factor": 0}})"), Error);
  EXPECT_THROW(read(R"({"rope_scaling": {"type": "linear"}})"), Error);
  EXPECT_THROW(read(R"({"rope_theta": -1})"), Error);
}

}  // namespace
}  // namespace tenon::models
