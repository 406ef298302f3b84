#include "server/picture_store.h"

#include <sys/random.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace tenon::server {
namespace {

std::string random_id() {
  std::array<unsigned char, 16> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    throw Error(ErrorCode::Io, "the system gives no random numbers");
  std::string id;
  for (unsigned char byte : bytes) {
    id += "0123456789abcdef"[byte >> 4];
    id += "0123456789abcdef"[byte & 15];
  }
  return id;
}

}  // namespace

int64_t Picture::bytes() const {
  return static_cast<int64_t>(image.pixels.size()) + encoded.embedding.view().bytes();
}

std::shared_ptr<const Picture> PictureStore::add(Picture picture) {
  picture.id = random_id();
  auto added = std::make_shared<const Picture>(std::move(picture));
  std::lock_guard lock(mutex_);
  pictures_.push_front(added);
  bytes_ += added->bytes();
  // The newest one stays, however large: it was within the limits of a picture.
  auto too_many = [&] {
    return static_cast<int64_t>(pictures_.size()) > most_pictures_ || bytes_ > most_bytes_;
  };
  while (pictures_.size() > 1 && too_many()) drop_oldest();
  return added;
}

void PictureStore::drop_oldest() {
  bytes_ -= pictures_.back()->bytes();
  pictures_.pop_back();
}

std::shared_ptr<const Picture> PictureStore::find(std::string_view id) {
  std::lock_guard lock(mutex_);
  auto found = std::find_if(pictures_.begin(), pictures_.end(),
                            [&](const auto& picture) { return picture->id == id; });
  if (found == pictures_.end()) return nullptr;
  pictures_.splice(pictures_.begin(), pictures_, found);
  return pictures_.front();
}

bool PictureStore::remove(std::string_view id) {
  std::lock_guard lock(mutex_);
  auto found = std::find_if(pictures_.begin(), pictures_.end(),
                            [&](const auto& picture) { return picture->id == id; });
  if (found == pictures_.end()) return false;
  bytes_ -= (*found)->bytes();
  pictures_.erase(found);
  return true;
}

int64_t PictureStore::count() const {
  std::lock_guard lock(mutex_);
  return static_cast<int64_t>(pictures_.size());
}

int64_t PictureStore::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace tenon::server
