#include "frontends/weight_file.h"

#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "frontends/safetensors/safetensors_file.h"
#include "frontends/torch_pickle/torch_file.h"

namespace tenon::frontends {
namespace {

// A format that is known by its first bytes and not read.
struct OtherFormat {
  std::string_view magic;
  size_t at;
  std::string_view name, fix;
  ErrorCode code = ErrorCode::BadInput;
};

using namespace std::string_view_literals;
constexpr std::string_view kSaveAgain =
    "in PyTorch: torch.save(torch.load(FILE, map_location='cpu', weights_only=True), 'new.pth')";
constexpr OtherFormat kOthers[] = {
    {"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv, 0,
     "a PyTorch file of the format before 1.6", kSaveAgain, ErrorCode::Unsupported},
    {"ustar"sv, 257, "a tar archive, as PyTorch wrote them before 0.1.10", kSaveAgain,
     ErrorCode::Unsupported},
    {"7z\xbc\xaf\x27\x1c"sv, 0, "a 7-Zip archive", "unpack it first"},
    {"\x1f\x8b"sv, 0, "gzip data", "unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, 0, "Zstandard data", "unpack it first"},
    {"\xfd\x37zXZ"sv, 0, "xz data", "unpack it first"},
    {"\x89HDF\r\n\x1a\n"sv, 0, "an HDF5 file", "convert the weights to safetensors"},
    {"\x7f\x45LF"sv, 0, "an ELF program", "download the file again, and not to run it"},
    {"MZ"sv, 0, "a Windows program", "download the file again, and not to run it"},
    {"GGUF"sv, 0, "a GGUF file", "take the checkpoint it was made from", ErrorCode::Unsupported},
    {"version https://git-lfs"sv, 0, "a pointer of Git LFS", "git lfs pull"},
    {"<!DOCTYPE"sv, 0, "a web page", "download the file again"},
    {"<html"sv, 0, "a web page", "download the file again"},
    {"\x80"sv, 0, "a bare pickle",
     "only if you trust where it comes from: load it with Python and save the tensors with "
     "safetensors",
     ErrorCode::Unsupported},
};

bool has(std::string_view file, std::string_view magic, size_t at) {
  return file.size() >= at + magic.size() && file.substr(at, magic.size()) == magic;
}

// A header's length, then JSON. The length keeps any of the magics above from looking like it.
bool looks_like_safetensors(std::string_view file) {
  return file.size() >= 9 && (file[8] == '{' || file[8] == ' ') && file[7] == 0 && file[6] == 0;
}

void warn_about_name(const std::string& path, bool is_torch) {
  bool named_safetensors = path.ends_with(".safetensors");
  bool named_torch = path.ends_with(".bin") || path.ends_with(".pth") || path.ends_with(".pt");
  if (is_torch && named_safetensors) {
    log_warn(path + ": is a PyTorch archive, and is read as one, though its name says otherwise");
  } else if (!is_torch && named_torch) {
    log_warn(path + ": is a safetensors file, and is read as one, though its name says otherwise");
  }
}

}  // namespace

std::shared_ptr<const WeightFile> open_weight_file(const std::string& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  bool is_torch = has(text, "PK\x03\x04", 0) || has(text, "PK\x05\x06", 0);
  if (!is_torch && !looks_like_safetensors(text)) {
    for (const OtherFormat& other : kOthers) {
      if (!has(text, other.magic, other.at)) continue;
      Error error(other.code, "not a file of weights that is read");
      throw error.at(path)
          .got(other.name)
          .accepted("safetensors, or a zip archive of torch.save")
          .fix(other.fix);
    }
  }
  std::shared_ptr<const WeightFile> opened;
  if (is_torch) {
    opened = TorchFile::open(std::move(file));
  } else {
    opened = SafetensorsFile::open(std::move(file));
  }
  warn_about_name(path, is_torch);
  return opened;
}

}  // namespace tenon::frontends
