#include "server/api_key.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "text/base64.h"

namespace tenon::server {
namespace {

const std::string kKey = "0123456789abcdef";

// The status of the refusal, 200 where there is none.
int status_of(const ApiKey& key, const std::vector<std::string>& authorizations) {
  Request request;
  for (const std::string& value : authorizations)
    request.headers.push_back({"authorization", value});
  auto refusal = key.check(request);
  return refusal ? refusal->status : 200;
}

std::string basic(const std::string& user_and_key) {
  return "Basic " + text::encode_base64(user_and_key);
}

TEST(ApiKey, WhoBringsItIsServed) {
  ApiKey key(kKey);
  EXPECT_EQ(status_of(key, {"Bearer " + kKey}), 200);
  EXPECT_EQ(status_of(key, {"bearer " + kKey}), 200);
  EXPECT_EQ(status_of(key, {basic("me:" + kKey)}), 200);
  EXPECT_EQ(status_of(key, {basic(":" + kKey)}), 200);
  EXPECT_EQ(status_of(ApiKey(), {}), 200);
}

TEST(ApiKey, NobodyElse) {
  ApiKey key(kKey);
  EXPECT_EQ(status_of(key, {}), 401);
  for (const std::string& value :
       {std::string(), std::string("Bearer"), std::string("Bearer "), "Bearer  " + kKey,
        "Bearer" + kKey, kKey, "Bearer " + kKey.substr(0, 15), "Bearer " + kKey + "0",
        "Bearer " + kKey + kKey, "Bearer " + std::string(1 << 20, '0'), "Token " + kKey,
        std::string("Bearer 0123456789abcdeF"), basic(kKey), basic(kKey + ":"), "Basic " + kKey,
        basic("me:" + kKey + "0"), std::string("Basic !")}) {
    EXPECT_EQ(status_of(key, {value}), 401) << value.substr(0, 80);
  }
  EXPECT_EQ(status_of(key, {"Bearer " + kKey, "Bearer " + kKey}), 401);
  EXPECT_EQ(status_of(key, {"Bearer wrong", "Bearer " + kKey}), 401);
}

TEST(ApiKey, TheRefusalSaysHowToAsk) {
  auto refusal = ApiKey(kKey).check({});
  ASSERT_TRUE(refusal && refusal->headers.size() == 1);
  EXPECT_EQ(refusal->headers[0].name, "WWW-Authenticate");
  EXPECT_EQ(refusal->body.find(kKey), std::string::npos);
}

TEST(ApiKey, KeysThatAreNone) {
  for (const std::string& key :
       {std::string(), std::string("short"), std::string(513, 'a'),
        std::string("with a blank in it"), std::string("0123456789abcd\xc3\xa9")}) {
    EXPECT_THROW(ApiKey{key}, Error) << key;
  }
}

TEST(ApiKey, IsTheFirstLineOfAFile) {
  std::string path = std::filesystem::temp_directory_path() / "tenon_api_key_test";
  std::ofstream(path) << kKey << "\nanything\n";
  EXPECT_EQ(status_of(ApiKey::read(path), {"Bearer " + kKey}), 200);
  std::ofstream(path) << "\n" << kKey;
  try {
    ApiKey::read(path);
    ADD_FAILURE() << "an empty line was taken for a key";
  } catch (const Error& error) {
    EXPECT_EQ(error.place(), path);
  }
  std::filesystem::remove(path);
  EXPECT_THROW(ApiKey::read(path), Error);
}

}  // namespace
}  // namespace tenon::server
