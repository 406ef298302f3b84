#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tenon {

// A regular file mapped read-only. Truncation by another process while mapped reads as zeros and
// sets damaged() instead of killing the process with SIGBUS.
class MappedFile {
 public:
  // Refuses what is not a readable regular file (directory, FIFO, device) without blocking.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }
  // For bytes that are read again and again, from memory: large pages are read a sixth faster. An
  // advice to the system, which may have none; what is read is the same.
  void use_large_pages() const;
  // True once a page could not be read: its content in memory is zeros.
  bool damaged() const;
  // Throws ErrorCode::Io where the file was damaged, or was changed on disk since it was opened.
  void verify_unchanged() const;

 private:
  MappedFile() = default;
  std::string path_;
  std::span<const std::byte> bytes_;
  int region_ = -1;
  int fd_ = -1;
  int64_t size_ = 0, modified_ns_ = 0;
};

// A small text file, whole. Throws ErrorCode::Io / BadInput (over `most_bytes`, not regular).
std::string read_text_file(const std::string& path, int64_t most_bytes);
bool file_exists(const std::string& path);  // a regular file, links followed
bool is_directory(const std::string& path);

// The one opener of model-relative paths: joins `name` to `folder` and refuses absolute names,
// `..`, NUL, and anything that resolves outside the folder unless the link stays within `folder`'s
// own blob store (Hugging Face caches link `snapshots/x/file` to `../../blobs/y`).
std::string resolve_in_folder(const std::string& folder, std::string_view name);

// A file that appears whole or not at all: written to a temporary beside the target, synced, then
// renamed over it by commit(). Without commit() the temporary is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text.data(), text.size()))); }
  void write_at(int64_t offset, std::span<const std::byte> bytes);
  void pad_to(int64_t multiple);
  int64_t size() const { return size_; }
  const std::string& temporary_path() const { return temporary_; }
  void sync();
  void commit() { commit_as(path_); }
  // Commits under another name in the same folder; the target named at construction stays
  // untouched.
  void commit_as(const std::string& path);

 private:
  std::string path_, temporary_;
  int fd_ = -1;
  int64_t size_ = 0;
};

}  // namespace tenon
