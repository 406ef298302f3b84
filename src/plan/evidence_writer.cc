#include "plan/evidence_writer.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/checked.h"
#include "base/error.h"
#include "plan/plan_file.h"
#include "plan/plan_json.h"

namespace tenon::plan {
namespace {

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {
    if (fd_ >= 0) return;
    throw Error(ErrorCode::Io, std::string("cannot open: ") + std::strerror(errno)).at(path);
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// The first `bytes` of a file, without passing through memory where the file system can.
void copy_bytes(const std::string& from, const std::string& to, std::span<const std::byte> mapped,
                AtomicFile& file) {
  Descriptor source(from, O_RDONLY), target(to, O_WRONLY);
  if (::ioctl(target.get(), FICLONE, source.get()) == 0) return;
  size_t done = 0;
  while (done < mapped.size()) {
    ssize_t count =
        ::copy_file_range(source.get(), nullptr, target.get(), nullptr, mapped.size() - done, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  if (done < mapped.size()) file.write_at(static_cast<int64_t>(done), mapped.subspan(done));
}

}  // namespace

void put_evidence(AtomicFile& file, FileHeader& header, std::string_view text) {
  if (header.sections.back().name == section::kEvidence) header.sections.pop_back();
  const SectionEntry& last = header.sections.back();
  int64_t end = last.offset + last.bytes;
  std::filesystem::resize_file(file.temporary_path(), static_cast<uintmax_t>(end));
  std::string tail(round_up(end, kSectionAlignment) - end, '\0');
  SectionEntry entry{std::string(section::kEvidence), end + static_cast<int64_t>(tail.size()),
                     static_cast<int64_t>(text.size()),
                     digest_of(std::as_bytes(std::span(text.data(), text.size()))), false};
  tail += text;
  file.write_at(end, std::as_bytes(std::span(tail.data(), tail.size())));
  header.file_bytes = entry.offset + entry.bytes;
  header.sections.push_back(std::move(entry));
  file.write_at(0, encode_header(header));
}

void replace_evidence(const std::string& given_path, const Evidence& evidence) {
  // A link to the plan stays a link.
  std::error_code ignored;
  std::string path = std::filesystem::canonical(given_path, ignored);
  if (ignored) path = given_path;
  std::shared_ptr<const PlanFile> plan = PlanFile::open(path);
  auto mapped = MappedFile::open(path);
  FileHeader header = decode_header(mapped->bytes());
  AtomicFile file(path);
  copy_bytes(path, file.temporary_path(), mapped->bytes(), file);
  put_evidence(file, header, json_text(evidence.entries, section::kEvidence));
  mapped->verify_unchanged();
  plan->verify_unchanged();
  file.commit();
}

}  // namespace tenon::plan
