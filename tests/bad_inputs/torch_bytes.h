#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bad_input.h"
#include "frontends/torch_pickle/torch_test_files.h"

namespace tenon::bad_inputs {

using frontends::ForgedEnd;
using frontends::ForgedRecord;
using frontends::number_bytes;
using frontends::PickleForge;
using frontends::torch_bytes;
using frontends::torch_records;
using frontends::zip_bytes;

// Cases that are one file, model.pth.
class TorchFiles {
 public:
  Case& add(const std::string& row, const std::string& name, Expect expect,
            std::function<std::string()> bytes, const std::string& message,
            ErrorCode code = ErrorCode::BadInput) {
    auto make = [bytes](const Folder& folder) { return folder.write("model.pth", bytes()); };
    cases_.push_back({row, name, expect, make, message, use_checkpoint, {code}});
    return cases_.back();
  }
  Case& add(const std::string& row, const std::string& name, Expect expect,
            const std::string& bytes, const std::string& message,
            ErrorCode code = ErrorCode::BadInput) {
    return add(
        row, name, expect, [bytes] { return bytes; }, message, code);
  }
  // An archive with this pickle (PROTO and STOP are added) and a storage "0" of 24 bytes.
  Case& pickle(const std::string& row, const std::string& name, Expect expect,
               const std::string& body, const std::string& message,
               ErrorCode code = ErrorCode::BadInput) {
    return add(row, name, expect, archive_of("\x80\x02" + body + "."), message, code);
  }
  static std::string archive_of(const std::string& pickle) {
    return torch_bytes(pickle, {{"0", std::string(24, '\1')}});
  }
  std::vector<Case> take() { return std::move(cases_); }

 private:
  std::vector<Case> cases_;
};

// {"w": f32 [6] over storage "0"}, without PROTO and STOP.
inline std::string good_dict() {
  return PickleForge()
      .raw("}")
      .text("w")
      .tensor("FloatStorage", "0", 6, 0, {6}, {1})
      .raw("s")
      .str();
}

}  // namespace tenon::bad_inputs
