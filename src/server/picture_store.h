#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "imaging/image.h"
#include "pipelines/sam/predictor.h"

namespace tenon::server {

// A picture that was uploaded: its pixels for "everything", its embedding for clicks.
struct Picture {
  std::string id;
  imaging::Image image;
  sam::EncodedImage encoded;
  int64_t bytes() const;
};

// Pictures that may be asked about, the least recently used dropped where there are too many.
// Thread-safe.
class PictureStore {
 public:
  PictureStore(int64_t most_pictures, int64_t most_bytes)
      : most_pictures_(most_pictures), most_bytes_(most_bytes) {}

  // Gives it an id that cannot be guessed: whoever has it may see the picture's masks.
  std::shared_ptr<const Picture> add(Picture picture);
  // nullptr where it is not there (any more).
  std::shared_ptr<const Picture> find(std::string_view id);
  bool remove(std::string_view id);
  int64_t count() const;
  int64_t bytes() const;

 private:
  void drop_oldest();

  const int64_t most_pictures_, most_bytes_;
  mutable std::mutex mutex_;
  std::list<std::shared_ptr<const Picture>> pictures_;  // the last used first
  int64_t bytes_ = 0;
};

}  // namespace tenon::server
