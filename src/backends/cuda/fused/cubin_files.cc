#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "backends/cuda/fused/kernel_cache.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

namespace tenon::cuda {
namespace {

// Before the code: what it is, and the digest of what follows.
constexpr char kMagic[8] = {'T', 'N', 'N', 'C', 'U', 'B', '0', '1'};
constexpr size_t kHeaderBytes = sizeof kMagic + sizeof(Digest);
constexpr int64_t kMostBytes = 16 << 20;

std::string folder_of_user() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  // The XDG rule: a relative path is to be ignored.
  if (cache && cache[0] == '/') return std::string(cache) + "/tenon";
  const char* home = std::getenv("HOME");
  return home && home[0] == '/' ? std::string(home) + "/.cache/tenon" : "";
}

// Makes the folder and those above it, for this user alone.
bool make_folders(const std::string& path) {
  for (size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    std::string part = path.substr(0, at);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return false;
    if (at == path.npos) return true;
  }
}

// Code is run: it must be ours.
bool is_own_file(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         status.st_uid == geteuid() && (status.st_mode & 022) == 0;
}

std::span<const std::byte> bytes_of(const std::vector<char>& code) {
  return std::as_bytes(std::span(code));
}

}  // namespace

CubinFiles::CubinFiles() : CubinFiles(folder_of_user()) {}
CubinFiles::CubinFiles(std::string folder) : folder_(std::move(folder)) {}

std::string CubinFiles::key(const std::string& source, const std::string& architecture,
                            int version) {
  std::string text = source + "\n// " + architecture + " NVRTC " + std::to_string(version);
  return to_hex(digest_of(std::as_bytes(std::span(text)))) + "." + architecture;
}

std::string CubinFiles::path(const std::string& key) const {
  return folder_ + "/" + key + ".cubin";
}

std::vector<char> CubinFiles::read(const std::string& key) const {
  if (folder_.empty() || !is_own_file(path(key))) return {};
  try {
    std::string text = read_text_file(path(key), kMostBytes);
    if (text.size() <= kHeaderBytes || std::memcmp(text.data(), kMagic, sizeof kMagic) != 0) {
      return {};
    }
    Digest digest;
    std::memcpy(&digest, text.data() + sizeof kMagic, sizeof digest);
    std::vector<char> code(text.begin() + kHeaderBytes, text.end());
    return digest_of(bytes_of(code)) == digest ? code : std::vector<char>();
  } catch (const std::exception& error) {
    log_debug(std::string("fused: a cached kernel is not read: ") + error.what());
    return {};
  }
}

void CubinFiles::write(const std::string& key, const std::vector<char>& code) const {
  if (folder_.empty()) return;
  try {
    if (!make_folders(folder_)) {
      log_debug("fused: no folder for cached kernels: " + folder_);
      return;
    }
    AtomicFile file(path(key));
    Digest digest = digest_of(bytes_of(code));
    file.append(std::as_bytes(std::span(kMagic)));
    file.append(std::as_bytes(std::span(&digest, 1)));
    file.append(bytes_of(code));
    file.commit();
  } catch (const std::exception& error) {
    log_debug(std::string("fused: a kernel is not cached: ") + error.what());
  }
}

}  // namespace tenon::cuda
