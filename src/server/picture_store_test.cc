#include "server/picture_store.h"

#include <gtest/gtest.h>

namespace tenon::server {
namespace {

Picture picture_of(int64_t side) {
  Picture picture;
  picture.image = imaging::Image::make(side, side);
  return picture;
}

TEST(PictureStore, TheLeastRecentlyUsedGoes) {
  PictureStore store(2, 1 << 20);
  std::string a = store.add(picture_of(4))->id, b = store.add(picture_of(4))->id;
  EXPECT_NE(a, b);
  EXPECT_EQ(a.size(), 32u);
  EXPECT_NE(store.find(a), nullptr);
  std::string c = store.add(picture_of(4))->id;
  EXPECT_EQ(store.find(b), nullptr);
  EXPECT_NE(store.find(a), nullptr);
  EXPECT_NE(store.find(c), nullptr);
  EXPECT_EQ(store.count(), 2);
}

TEST(PictureStore, BytesAreBoundedButOnePictureStays) {
  PictureStore store(10, 100);
  auto first = store.add(picture_of(5));  // 75 bytes
  EXPECT_EQ(store.bytes(), first->bytes());
  EXPECT_GE(first->bytes(), 75);
  auto second = store.add(picture_of(20));
  EXPECT_EQ(store.find(first->id), nullptr);
  EXPECT_EQ(store.find(second->id), second);
  EXPECT_EQ(store.bytes(), second->bytes());
}

TEST(PictureStore, RemovedPicturesAreGone) {
  PictureStore store(2, 1 << 20);
  std::string id = store.add(picture_of(4))->id;
  EXPECT_TRUE(store.remove(id));
  EXPECT_FALSE(store.remove(id));
  EXPECT_EQ(store.find(id), nullptr);
  EXPECT_EQ(store.bytes(), 0);
  EXPECT_FALSE(store.remove(""));
}

}  // namespace
}  // namespace tenon::server
