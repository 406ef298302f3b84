#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "bad_input.h"
#include "frontends/safetensors/checkpoint_folder.h"
#include "safetensors_bytes.h"

namespace tenon::bad_inputs {
namespace fs = std::filesystem;
namespace {

constexpr const char* kIndex = "model/model.safetensors.index.json";

std::string index_of(const std::string& shard, const std::string& tensor = "a") {
  return "{\"weight_map\": {\"" + tensor + "\": \"" + shard + "\"}}";
}

// A folder whose index names `shard`, beside a folder with a good file that must not be reached.
Case shard_case(const std::string& row, const std::string& name, const std::string& shard,
                const std::string& message, std::function<void(const Folder&)> prepare = {}) {
  auto make = [shard, prepare](const Folder& folder) {
    folder.write(kIndex, index_of(shard));
    folder.write("outside/good.safetensors", byte_tensors({"a"}));
    if (prepare) prepare(folder);
    return folder.file("model");
  };
  return {row, name, Expect::Refuse, make, message, use_checkpoint};
}

void add_escapes(std::vector<Case>& cases) {  // S26
  cases.push_back(shard_case("S26", "Parent", "../../etc/passwd", "path leaves the model folder"));
  cases.push_back(
      shard_case("S26", "ParentInside", "a/../../outside/good.safetensors", "path leaves"));
  cases.push_back(
      shard_case("S26", "ParentOfGoodFile", "../outside/good.safetensors", "path leaves"));
  cases.push_back(shard_case("S26", "Absolute", "/etc/passwd", "absolute path"));
  cases.push_back(shard_case("S26", "Nul", "m\\u0000.safetensors", "NUL byte"));
  cases.push_back(shard_case("S26", "Empty", "", "empty file name"));
  cases.push_back(shard_case("S26", "Folder", ".", "inside the model folder"));
  cases.push_back(
      shard_case("S26", "LinkOut", "s.safetensors", "link leaves", [](const Folder& folder) {
        fs::create_symlink("../outside/good.safetensors", folder.file("model/s.safetensors"));
      }));
  cases.push_back(shard_case("S26", "FolderLinkOut", "d/good.safetensors", "link leaves",
                             [](const Folder& folder) {
                               fs::create_directory_symlink("../outside", folder.file("model/d"));
                             }));
  cases.push_back(
      shard_case("S26", "HardLink", "s.safetensors", "hard link", [](const Folder& folder) {
        fs::create_hard_link(folder.file("outside/good.safetensors"),
                             folder.file("model/s.safetensors"));
      }));
  Case cache{"S26", "CacheLinks", Expect::Accept, {}, "", use_checkpoint};
  cache.make = [](const Folder& folder) {
    folder.write("blobs/one", byte_tensors({"a"}));
    folder.write("snapshots/r/model.safetensors.index.json", index_of("s.safetensors"));
    fs::create_symlink("../../blobs/one", folder.file("snapshots/r/s.safetensors"));
    return folder.file("snapshots/r");
  };
  cases.push_back(cache);
}

void add_indexes(std::vector<Case>& cases) {  // S27
  cases.push_back(shard_case("S27", "ShardMissing", "s.safetensors", "cannot open"));
  cases.push_back(shard_case(
      "S27", "TensorAbsent", "s.safetensors", "lacks a tensor",
      [](const Folder& folder) { folder.write("model/s.safetensors", byte_tensors({"b"})); }));
  auto indexed = [&](const std::string& name, const std::string& index, const std::string& message,
                     Expect expect = Expect::Refuse) {
    auto make = [index](const Folder& folder) {
      folder.write(kIndex, index);
      folder.write("model/1.safetensors", byte_tensors({"a", "b"}));
      folder.write("model/2.safetensors", byte_tensors({"b", "c"}));
      folder.write("model/3.safetensors", byte_tensors({"d", "e"}));
      return folder.file("model");
    };
    cases.push_back({"S27", name, expect, make, message, use_checkpoint});
  };
  indexed("TensorTwice", R"({"weight_map": {"a": "1.safetensors", "a": "2.safetensors"}})",
          "twice");
  indexed("TensorInTwoShards", R"({"weight_map": {"a": "1.safetensors", "c": "2.safetensors"}})",
          "two shards");
  indexed("Unlisted",
          R"({"weight_map": {"a": "1.safetensors", "b": "1.safetensors", "d": "3.safetensors"}})",
          "3.safetensors: 1 tensors are not in the index", Expect::Warn);
  indexed("NotJson", R"({"weight_map": )", "byte ");
  indexed("NoMap", R"({"metadata": {}})", "weight_map");
  indexed("EmptyMap", R"({"weight_map": {}})", "weight_map");
  indexed("NotAMap", R"({"weight_map": ["1.safetensors"]})", "weight_map");
  indexed("ShardIsANumber", R"({"weight_map": {"a": 1}})", "$.weight_map.a");
  indexed("Deep", std::string(100'000, '['), "nested too deep");
}

void add_special_files(std::vector<Case>& cases) {  // S28
  auto special = [&](const std::string& name, std::function<std::string(const Folder&)> make,
                     const std::string& message,
                     std::vector<ErrorCode> codes = {ErrorCode::BadInput}) {
    cases.push_back({"S28", name, Expect::Refuse, std::move(make), message, use_checkpoint, codes});
  };
  special(
      "FolderInFolder",
      [](const Folder& folder) {
        fs::create_directories(folder.file("model/model.safetensors"));
        return folder.file("model");
      },
      "not a regular file; got a directory");
  special(
      "EmptyFolder", [](const Folder& folder) { return folder.path(); },
      "no weights in the folder");
  special(
      "Fifo",
      [](const Folder& folder) {
        mkfifo(folder.file("model.safetensors").c_str(), 0600);
        return folder.file("model.safetensors");
      },
      "not a regular file");
  special(
      "FifoInFolder",
      [](const Folder& folder) {
        mkfifo(folder.file("model.safetensors").c_str(), 0600);
        return folder.path();
      },
      "not a regular file");
  for (const char* device : {"zero", "random", "null"}) {
    special(
        std::string("Dev") + device,
        [device](const Folder&) { return std::string("/dev/") + device; }, "not a regular file");
  }
  special(
      "DanglingLink",
      [](const Folder& folder) {
        fs::create_symlink("nowhere", folder.file("model.safetensors"));
        return folder.path();
      },
      "cannot open");
  special(
      "Missing", [](const Folder& folder) { return folder.file("model.safetensors"); },
      "cannot open");
  // A user with all rights can read everything: then the file is read, and it is a good one.
  auto unreadable = [](const Folder& folder) {
    std::string path = folder.write("model.safetensors", byte_tensors({"a"}));
    chmod(path.c_str(), 0);
    return path;
  };
  cases.push_back({"S28",
                   "Unreadable",
                   Expect::RefuseOrAccept,
                   unreadable,
                   "cannot open",
                   use_checkpoint,
                   {ErrorCode::Io, ErrorCode::BadInput}});
  special(
      "TorchWeightsCut",
      [](const Folder& folder) {
        folder.write("pytorch_model.bin", "PK");
        return folder.path();
      },
      "pytorch_model.bin: byte 0: ");
}

// Reads every tensor after `change`, as a build does.
std::function<void(const std::string&)> use_and_change(
    std::function<void(const std::string&)> change) {
  return [change](const std::string& path) {
    auto checkpoint = frontends::CheckpointFolder::open(path);
    usleep(20'000);  // the clock of file times is coarse
    change(path);
    unsigned sum = 0;
    for (const WeightInfo& info : checkpoint->weights()) {
      for (std::byte byte : checkpoint->view(info.name).byte_span())
        sum += static_cast<unsigned>(byte);
    }
    if (sum == 1) std::abort();  // the sum is used, so that the reads stay
    checkpoint->verify_unchanged();
  };
}

void add_changes(std::vector<Case>& cases) {  // S29, S30
  auto make = [](const Folder& folder) {
    return folder.write("model.safetensors",
                        one_tensor("\"F32\"", "[100000]", "[0,400000]", 400'000));
  };
  auto changed = [&](const std::string& row, const std::string& name,
                     std::function<void(const std::string&)> change) {
    Case made{row,
              name,
              Expect::Refuse,
              make,
              "file changed while it was being read",
              use_and_change(std::move(change))};
    made.changes_files = true;
    cases.push_back(made);
  };
  changed("S29", "Truncated", [](const std::string& path) { fs::resize_file(path, 5000); });
  changed("S29", "TruncatedToNothing", [](const std::string& path) { fs::resize_file(path, 0); });
  changed("S30", "RewrittenInPlace", [](const std::string& path) {
    std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekp(300'000);
    stream << "other data";
  });
  Case replaced{"S30",
                "ReplacedByRename",
                Expect::Accept,
                make,
                "",
                use_and_change([](const std::string& path) {
                  std::ofstream(path + ".new") << "something else";
                  fs::rename(path + ".new", path);
                })};
  replaced.changes_files = true;
  cases.push_back(replaced);
}

}  // namespace

std::vector<Case> folder_cases() {
  std::vector<Case> cases;
  add_escapes(cases);
  add_indexes(cases);
  add_special_files(cases);
  add_changes(cases);
  return cases;
}

}  // namespace tenon::bad_inputs
