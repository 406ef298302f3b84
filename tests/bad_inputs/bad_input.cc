#include "bad_input.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "frontends/safetensors/checkpoint_folder.h"
#include "plan/plan_file.h"
#include "sealed.h"

namespace tenon::bad_inputs {
namespace fs = std::filesystem;
namespace {

struct Usage {
  int64_t peak_bytes = 0;
  double seconds = 0;
};

Usage usage_now() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + time.tv_usec * 1e-6;
  };
  return {usage.ru_maxrss * 1024, seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

std::string read_all(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The child: writes "<code> <sealed> <seconds> <growth>\n<message>" to `report` and ends without
// cleaning up.
[[noreturn]] void run_child(const Case& input, const std::string& path, const std::string& report,
                            const std::string& log) {
  int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  dup2(fd, STDERR_FILENO);
  // A hang ends here, whatever the machine has to do besides.
  alarm(static_cast<unsigned>(30 * input.most_seconds));
  std::ofstream written(report);  // before the seal: it forbids opening files to write
  bool sealed = !input.changes_files && seal_process();
  Usage before = usage_now();
  int code = 0;
  std::string message;
  try {
    input.open(path);
  } catch (const Error& error) {
    code = static_cast<int>(error.code());
    message = error.what();
  } catch (const std::exception& error) {
    code = -1;  // not of our kind: a bug
    message = error.what();
  }
  Usage after = usage_now();
  written << code << ' ' << sealed << ' ' << after.seconds - before.seconds << ' '
          << after.peak_bytes - before.peak_bytes << '\n'
          << message << std::flush;
  _exit(0);
}

}  // namespace

Folder::Folder() {
  std::string pattern = fs::temp_directory_path() / "tenon-bad-XXXXXX";
  path_ = mkdtemp(pattern.data());
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Folder::write(const std::string& name, const std::string& bytes) const {
  fs::create_directories(fs::path(file(name)).parent_path());
  std::ofstream(file(name), std::ios::binary) << bytes;
  return file(name);
}

std::vector<std::string> Folder::listing() const {
  std::vector<std::string> entries;
  for (const auto& entry : fs::recursive_directory_iterator(path_)) {
    std::string line = entry.path().string();
    if (entry.is_regular_file()) line += " " + std::to_string(entry.file_size());
    entries.push_back(line);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

int64_t bytes_on_disk(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return fs::is_regular_file(path, ignored) ? static_cast<int64_t>(fs::file_size(path)) : 0;
  }
  int64_t sum = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file(ignored)) sum += static_cast<int64_t>(entry.file_size());
  }
  return sum;
}

Outcome run_alone(const Case& input, const std::string& path) {
  Folder folder;
  std::string report = folder.file("report"), log = folder.file("log");
  pid_t child = fork();
  if (child == 0) run_child(input, path, report, log);
  int status = 0;
  waitpid(child, &status, 0);
  Outcome outcome;
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) outcome.code = -WEXITSTATUS(status);
  std::ifstream stream(report);
  if (!stream) {
    outcome.code = outcome.code ? outcome.code : -1;
  } else {
    stream >> outcome.code >> outcome.sealed >> outcome.seconds >> outcome.growth;
    stream.ignore(1);
    outcome.message = {std::istreambuf_iterator<char>(stream), {}};
  }
  outcome.log = read_all(log);
  return outcome;
}

void use_checkpoint(const std::string& path) {
  auto checkpoint = frontends::CheckpointFolder::open(path);
  unsigned sum = 0;
  for (const WeightInfo& info : checkpoint->weights()) {
    Tensor copy = Tensor::make(info.dtype, info.extents);
    copy_convert(checkpoint->view(info.name), copy);
    for (std::byte byte : copy.view().byte_span()) sum += static_cast<unsigned>(byte);
  }
  // The sum is used, so that the reads stay.
  if (sum == 0xFFFFFFFFu) std::abort();
  checkpoint->verify_unchanged();
}

void use_plan(const std::string& path) {
  auto plan = plan::PlanFile::open(path);
  for (size_t i = 0; i < plan->plan().constants.size(); ++i) plan->constant(i);
  plan->verify_all_weights();
  plan->verify_unchanged();
}

}  // namespace tenon::bad_inputs
