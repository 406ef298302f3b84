#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/thread_pool.h"

namespace tenon {
namespace {

// The mapped regions the SIGBUS handler knows. A fixed table: the handler may not allocate.
struct Region {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> damaged{false}, used{false};
};
constexpr int kMostRegions = 16384;
std::array<Region, kMostRegions> g_regions;
struct sigaction g_previous;

void on_sigbus(int signal, siginfo_t* info, void* context) {
  uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Region& region : g_regions) {
    if (!region.used.load()) continue;
    if (address < region.begin.load() || address >= region.end.load()) continue;
    region.damaged.store(true);
    uintptr_t page = address & ~static_cast<uintptr_t>(4095);
    void* mapped = mmap(reinterpret_cast<void*>(page), 4096, PROT_READ,
                        MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped != MAP_FAILED) return;
    break;
  }
  if (g_previous.sa_flags & SA_SIGINFO) {
    if (g_previous.sa_sigaction) return g_previous.sa_sigaction(signal, info, context);
  } else if (g_previous.sa_handler != SIG_DFL && g_previous.sa_handler != SIG_IGN) {
    return g_previous.sa_handler(signal);
  }
  ::signal(SIGBUS, SIG_DFL);
  raise(SIGBUS);
}

int add_region(const void* begin, size_t size) {
  static std::once_flag installed;
  std::call_once(installed, [] {
    struct sigaction action {};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &g_previous);
  });
  for (int i = 0; i < kMostRegions; ++i) {
    bool expected = false;
    if (!g_regions[i].used.compare_exchange_strong(expected, true)) continue;
    g_regions[i].damaged.store(false);
    g_regions[i].begin.store(reinterpret_cast<uintptr_t>(begin));
    g_regions[i].end.store(reinterpret_cast<uintptr_t>(begin) + size);
    return i;
  }
  throw Error(ErrorCode::Unsupported, "too many files mapped at once")
      .accepted(std::to_string(kMostRegions));
}

void remove_region(int index) {
  g_regions[index].begin.store(0);
  g_regions[index].end.store(0);
  g_regions[index].used.store(false);
}

Error io_error(std::string_view problem, const std::string& path) {
  return Error(errno == ENOENT ? ErrorCode::BadInput : ErrorCode::Io,
               std::string(problem) + ": " + std::strerror(errno))
      .at(path);
}

int64_t modified_ns(const struct stat& status) {
  return status.st_mtim.tv_sec * 1'000'000'000ll + status.st_mtim.tv_nsec;
}

// Opens without blocking on FIFOs, and refuses everything but regular files.
int open_regular(const std::string& path, struct stat& status) {
  if (path.find('\0') != std::string::npos) {
    throw Error(ErrorCode::BadInput, "path contains a NUL byte").at(path);
  }
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    int code = errno;
    Error error = io_error("cannot open", path);
    if (code == ENOENT) error.fix("check the path; a dangling link reads as missing too");
    throw error;
  }
  if (fstat(fd, &status) != 0) {
    ::close(fd);
    throw io_error("cannot read file status", path);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(fd);
    throw Error(ErrorCode::BadInput, "not a regular file")
        .at(path)
        .got(S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket")
        .accepted("a regular file");
  }
  return fd;
}

std::string parent_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// Temporaries are "<target>.tenon-tmp-<pid>-<n>". A killed build leaves one; the next build of the
// same target removes those nobody holds a lock on.
void remove_abandoned_temporaries(const std::string& path) {
  std::string prefix = name_of(path) + ".tenon-tmp-";
  DIR* directory = opendir(parent_of(path).c_str());
  if (!directory) return;
  while (dirent* entry = readdir(directory)) {
    if (std::string_view(entry->d_name).substr(0, prefix.size()) != prefix) continue;
    std::string full = parent_of(path) + "/" + entry->d_name;
    int fd = ::open(full.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(full.c_str());
    ::close(fd);
  }
  closedir(directory);
}

constexpr size_t kLargePage = 2 << 20;
constexpr int kCollapse = 25;  // MADV_COLLAPSE of Linux 6.1, which glibc 2.36 does not name

// Large files begin on a border of large pages, without which Linux has none for them.
void* map_file(int fd, size_t size) {
  if (size < kLargePage) return mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  size_t room = size + kLargePage;
  void* reserved =
      mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return reserved;
  auto* begin = static_cast<std::byte*>(reserved);
  size_t skip = (kLargePage - reinterpret_cast<uintptr_t>(reserved) % kLargePage) % kLargePage;
  void* data = mmap(begin + skip, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
  if (data == MAP_FAILED) {
    int code = errno;
    munmap(reserved, room);
    errno = code;
    return data;
  }
  if (skip > 0) munmap(begin, skip);
  size_t end = skip + (size + 4095) / 4096 * 4096;
  if (end < room) munmap(begin + end, room - end);
  return data;
}

}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  struct stat status {};
  int fd = open_regular(path, status);
  std::shared_ptr<MappedFile> file(new MappedFile());
  file->path_ = path;
  file->fd_ = fd;
  file->size_ = status.st_size;
  file->modified_ns_ = modified_ns(status);
  if (status.st_size > 0) {
    void* data = map_file(fd, static_cast<size_t>(status.st_size));
    if (data == MAP_FAILED) throw io_error("cannot map", path);
    file->bytes_ = {static_cast<const std::byte*>(data), static_cast<size_t>(status.st_size)};
    file->region_ = add_region(data, status.st_size);
  }
  return file;
}

MappedFile::~MappedFile() {
  if (region_ >= 0) remove_region(region_);
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
  if (fd_ >= 0) ::close(fd_);
}

void MappedFile::use_large_pages() const {
  auto* data = const_cast<std::byte*>(bytes_.data());
  auto pages = static_cast<int64_t>(bytes_.size() / kLargePage);
  if (pages == 0) return;
  // What is read from now on comes in large pages, where the file system has them (ext4 and XFS of
  // Linux 6.16). What tmpfs holds already is collapsed; other file systems refuse that at once.
  madvise(data, pages * kLargePage, MADV_HUGEPAGE);
  if (madvise(data, kLargePage, kCollapse) != 0) return;
  process_thread_pool().parallel_for(pages, 16, [&](int64_t begin, int64_t end) {
    for (int64_t page = begin; page < end; ++page)
      if (madvise(data + page * kLargePage, kLargePage, kCollapse) != 0) return;
  });
}

bool MappedFile::damaged() const {
  return region_ >= 0 && g_regions[region_].damaged.load();
}

void MappedFile::verify_unchanged() const {
  struct stat status {};
  bool same =
      fstat(fd_, &status) == 0 && status.st_size == size_ && modified_ns(status) == modified_ns_;
  if (damaged() || !same) {
    throw Error(ErrorCode::BadInput, "file changed while it was being read")
        .at(path_)
        .fix("do not write to a model while it is loaded; run again");
  }
}

std::string read_text_file(const std::string& path, int64_t most_bytes) {
  struct stat status {};
  int fd = open_regular(path, status);
  if (status.st_size > most_bytes) {
    ::close(fd);
    throw Error(ErrorCode::BadInput, "file is too large")
        .at(path)
        .got(std::to_string(status.st_size) + " bytes")
        .accepted("at most " + std::to_string(most_bytes));
  }
  std::string text(status.st_size, '\0');
  size_t done = 0;
  while (done < text.size()) {
    ssize_t count = ::read(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      Error error = io_error("cannot read", path);
      ::close(fd);
      throw error;
    }
    if (count == 0) break;
    done += count;
  }
  ::close(fd);
  text.resize(done);
  return text;
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string resolve_in_folder(const std::string& folder, std::string_view name) {
  auto refuse = [&](std::string_view problem) {
    return Error(ErrorCode::BadInput, problem)
        .at(folder)
        .got(name)
        .accepted("a file name inside the model folder");
  };
  if (name.empty()) throw refuse("empty file name");
  if (name.find('\0') != name.npos) throw refuse("file name contains a NUL byte");
  if (name.front() == '/') throw refuse("absolute path in a model file");
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    if (name.substr(begin, end - begin) == "..") throw refuse("path leaves the model folder");
    begin = end + 1;
  }
  std::string joined = folder + "/" + std::string(name);
  char* real_folder = realpath(folder.c_str(), nullptr);
  char* real_file = realpath(joined.c_str(), nullptr);
  std::string root = real_folder ? real_folder : "", file = real_file ? real_file : "";
  std::free(real_folder);
  std::free(real_file);
  if (file.empty()) return joined;  // the opener reports what is missing
  auto inside = [&](const std::string& outer) {
    return file.size() > outer.size() && file.compare(0, outer.size(), outer) == 0 &&
           file[outer.size()] == '/';
  };
  // <cache>/snapshots/<revision>/<file> links to <cache>/blobs/<digest>.
  std::string blobs;
  if (size_t at = root.rfind("/snapshots/"); at != std::string::npos)
    blobs = root.substr(0, at) + "/blobs";
  if (!inside(root) && (blobs.empty() || !inside(blobs)))
    throw refuse("link leaves the model folder");
  return joined;
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  static std::atomic<int> counter{0};
  if (is_directory(path_)) {
    throw Error(ErrorCode::BadInput, "output path is a directory")
        .at(path_)
        .accepted("a file path");
  }
  remove_abandoned_temporaries(path_);
  // Until it is locked, another writer of this path may take the new file for an abandoned one and
  // remove it: then it has no name left, and the next number is tried.
  for (struct stat made{}; made.st_nlink == 0;) {
    if (fd_ >= 0) ::close(fd_);
    temporary_ = path_ + ".tenon-tmp-" + std::to_string(getpid()) + "-" + std::to_string(counter++);
    fd_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0) {
      Error error(ErrorCode::Io, std::string("cannot create: ") + std::strerror(errno));
      throw error.at(temporary_).fix("check that the folder exists and is writable");
    }
    while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) continue;
    if (fstat(fd_, &made) != 0) break;
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  write_at(size_, bytes);
}

void AtomicFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t count = pwrite(fd_, bytes.data() + done, bytes.size() - done, offset + done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      Error error(ErrorCode::Io, std::string("cannot write: ") + std::strerror(errno));
      throw error.at(path_).fix(
          "free disk space, or write to another disk; nothing was left behind");
    }
    done += count;
  }
  size_ = std::max<int64_t>(size_, offset + static_cast<int64_t>(bytes.size()));
}

void AtomicFile::pad_to(int64_t multiple) {
  int64_t target = (size_ + multiple - 1) / multiple * multiple;
  static constexpr std::array<std::byte, 4096> kZeros{};
  while (size_ < target) append(std::span(kZeros).first(std::min<int64_t>(target - size_, 4096)));
}

void AtomicFile::sync() {
  if (fsync(fd_) != 0) throw io_error("cannot sync", path_);
}

void AtomicFile::commit_as(const std::string& path) {
  sync();
  if (rename(temporary_.c_str(), path.c_str()) != 0)
    throw io_error("cannot rename into place", path);
  temporary_.clear();
  int folder = ::open(parent_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    ::close(folder);
  }
}

}  // namespace tenon
