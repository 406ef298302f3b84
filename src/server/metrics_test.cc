#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tenon::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, CountsAndBucketsAddUp) {
  Metrics metrics("small");
  metrics.count("/v1/images", 201, 0.002, 0.002);
  metrics.count("/v1/images", 201, 0, 100);
  metrics.count("/v1/images", 400, 0, 0.0001);
  std::string text = metrics.text({{"tenon:images_held", 2}}, {{"device", "cpu"}});
  const std::string labels = "{model_name=\"small\",path=\"/v1/images\"";
  EXPECT_THAT(text, HasSubstr("tenon:http_requests_total" + labels + ",status=\"201\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tenon:http_requests_total" + labels + ",status=\"400\"} 1\n"));
  const std::string latency = "tenon:e2e_request_latency_seconds";
  EXPECT_THAT(text, HasSubstr(latency + "_bucket" + labels + ",le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr(latency + "_bucket" + labels + ",le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(latency + "_bucket" + labels + ",le=\"60\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(latency + "_bucket" + labels + ",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr(latency + "_count" + labels + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("tenon:images_held{model_name=\"small\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tenon:plan_info{model_name=\"small\",device=\"cpu\"} 1\n"));
}

TEST(Metrics, LabelsAreEscaped) {
  EXPECT_EQ(label("a", "b\\\"c\nd"), "a=\"b\\\\\\\"c\\nd\"");
  EXPECT_THAT(Metrics("a\nb").text({}, {}), Not(HasSubstr("a\nb")));
}

}  // namespace
}  // namespace tenon::server
