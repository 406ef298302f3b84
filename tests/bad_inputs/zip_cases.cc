// P08, P09, P15 to P22: archives that are damaged, lie, or are something else.
#include "base/limits.h"
#include "torch_bytes.h"

namespace tenon::bad_inputs {
namespace {

constexpr Expect R = Expect::Refuse, A = Expect::Accept;
using Change = std::function<void(std::vector<ForgedRecord>&, ForgedEnd&)>;

std::string changed(const Change& change) {
  std::vector<ForgedRecord> records =
      torch_records("\x80\x02" + good_dict() + ".", {{"0", std::string(24, '\1')}});
  ForgedEnd end{.zip64 = true};
  change(records, end);
  return zip_bytes(records, end);
}

class ZipFiles : public TorchFiles {
 public:
  // The good archive with one fault.
  Case& fault(const std::string& row, const std::string& name, const Change& change,
              const std::string& message, ErrorCode code = ErrorCode::BadInput) {
    return add(
        row, name, R, [change] { return changed(change); }, message, code);
  }
};

void add_storages(ZipFiles& files) {  // P08, P09
  auto sized = [&](const std::string& name, size_t bytes) {
    files.fault(
        "P08", name, [bytes](auto& records, auto&) { records[1].data.resize(bytes); },
        "storage 0: record and storage differ in size; got " + std::to_string(bytes) +
            " bytes, accepted 24");
  };
  sized("Shorter", 20);
  sized("Longer", 28);
  sized("Empty", 0);
  files.pickle("P08", "CountOverflows", R,
               PickleForge().storage("DoubleStorage", "0", 1ll << 60).str(), "overflows");
  files.pickle("P08", "NegativeCount", R, PickleForge().storage("FloatStorage", "0", -6).str(),
               "negative number");
  files.pickle("P08", "TwoTypes", R,
               PickleForge().storage("FloatStorage", "0", 6).storage("IntStorage", "0", 6).str(),
               "one storage with two types");
  auto key = [&](const std::string& name, const std::string& text) {
    files.pickle("P09", name, R, PickleForge().storage("FloatStorage", text, 6).str(),
                 "the archive has no record of this storage");
  };
  key("MissingKey", "1");
  key("KeyOutside", "../0");
  key("KeyOfThePickle", "../data.pkl");
  key("AbsoluteKey", "/etc/passwd");
  key("EmptyKey", "");
  key("LongKey", std::string(1 << 20, 'k'));
  key("KeyWithNul", std::string("0\0", 2));
  files.fault(
      "P09", "TwoRecordsOneKey", [](auto& records, auto&) { records.push_back(records[1]); },
      "two records have one name; got archive/data/0");
}

void add_formats(ZipFiles& files) {  // P15, P16, P22
  constexpr ErrorCode kUnsupported = ErrorCode::Unsupported;
  files.add("P15", "BeforeZip", R,
            "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.",
            "format before 1.6, accepted safetensors, or a zip archive of torch.save; fix: in "
            "PyTorch: torch.save(torch.load(",
            kUnsupported);
  std::string tar(1024, '\0');
  tar.replace(0, 7, "sys_inf").replace(257, 5, "ustar");
  files.add("P15", "Tar", R, tar, "a tar archive", kUnsupported);
  auto script = [&](const std::string& name, const std::string& record) {
    files.fault(
        "P16", name,
        [record](auto& records, auto&) {
          records.push_back({record, "x"});
        },
        "a program, not weights", kUnsupported);
  };
  script("Constants", "archive/constants.pkl");
  script("Code", "archive/code/__torch__.py");
  auto other = [&](const std::string& name, const std::string& bytes, const std::string& what,
                   ErrorCode code = ErrorCode::BadInput) {
    files.add("P22", name, R, bytes, "got " + what, code);
  };
  other("SevenZip", std::string("7z\xbc\xaf\x27\x1c\0\4", 8), "a 7-Zip archive");
  other("Hdf5", "\x89HDF\r\n\x1a\n....", "an HDF5 file");
  other("Elf",
        "\x7f"
        "ELF\2\1\1",
        "an ELF program");
  other("WindowsProgram", "MZ\x90", "a Windows program");
  other("Gzip", "\x1f\x8b\x08", "gzip data");
  other("LfsPointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "a pointer of Git LFS");
  other("WebPage", "<!DOCTYPE html><html>", "a web page");
  other("Gguf", "GGUF\3", "a GGUF file", kUnsupported);
  files.add("P22", "ZipOfSomethingElse", R, zip_bytes({{"word/document.xml", "<xml/>"}}),
            "not one of torch.save");
  files.add("P22", "EmptyZip", R, zip_bytes({}), "not one of torch.save");
  std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  files.add("P22", "SafetensorsNamedPth", Expect::Warn,
            number_bytes(header.size(), 8) + header + "d", "model.pth: is a safetensors file");
}

void add_headers(ZipFiles& files) {  // P17 to P20
  files.fault(
      "P17", "CompressedStorage", [](auto& records, auto&) { records[1].method = 8; },
      "record archive/data/0: record is compressed", ErrorCode::Unsupported);
  files.fault(
      "P17", "CompressedPickle", [](auto& records, auto&) { records[0].method = 8; },
      "record is compressed", ErrorCode::Unsupported);
  files.fault(
      "P18", "LocalNameDiffers",
      [](auto& records, auto&) { records[0].local_name = "archive/data.pk1"; },
      "local header and directory give different names");
  files.fault(
      "P18", "LocalNameOfAnotherRecord",
      [](auto& records, auto&) { records[1].local_name = "archive/data/9"; }, "different names");
  files.fault(
      "P18", "LocalSizeDiffers", [](auto& records, auto&) { records[1].local_size = 20; },
      "contradict each other");
  for (auto [name, flag, message] : {std::tuple{"Encrypted", 0x1, "encrypted"},
                                     {"Patched", 0x20, "patched"},
                                     {"StronglyEncrypted", 0x41, "encrypted"},
                                     {"MaskedHeader", 0x2000, "encrypted"},
                                     {"UnknownFlag", 0x8000, "flags"}}) {
    files.fault(
        "P19", name,
        [flag = flag](auto& records, auto&) { records[1].flags = static_cast<uint16_t>(flag); },
        message, flag == 0x8000 ? ErrorCode::BadInput : ErrorCode::Unsupported);
  }
  files.fault(
      "P20", "ChecksumOfThePickle", [](auto& records, auto&) { records[0].crc = 1; },
      "record archive/data.pkl: byte");
  files.fault(
      "P20", "ChecksumOfAStorage", [](auto& records, auto&) { records[1].crc = 1; },
      "its checksum is wrong");
  files.fault(
      "P20", "SizeTooLarge", [](auto& records, auto&) { records[2].size = 1000; },
      "record ends after");
  files.fault(
      "P20", "SizeTooSmall", [](auto& records, auto&) { records[1].size = 20; },
      "record and storage differ in size");
}

void add_directory_names(ZipFiles& files) {
  for (auto [name, text] : {std::pair{"Parent", std::string("archive/../x")},
                            {"Absolute", "/archive/x"},
                            {"Backslash", "archive\\x"},
                            {"Empty", ""},
                            {"Nul", std::string("archive/x\0", 10)},
                            {"NotUtf8", "archive/\xff"},
                            {"Long", std::string(60'000, 'n')}}) {
    files.fault(
        "P21", std::string("Name") + name,
        [text = text](auto& records, auto&) {
          records.push_back({text, ""});
        },
        "record name is no plain relative path");
  }
  files.fault(
      "P21", "FolderRecord",
      [](auto& records, auto&) {
        records.push_back({"archive/x/", ""});
      },
      "record that torch.save does not write");
}

void add_directory(ZipFiles& files) {  // P21
  auto end = [&](const std::string& name, std::function<void(ForgedEnd&)> change,
                 const std::string& message) {
    files.fault(
        "P21", name, [change](auto&, auto& forged) { change(forged); }, message);
  };
  end(
      "DirectoryPastTheEnd",
      [](ForgedEnd& e) {
        e.begin64 = 1 << 20;
        e.begin = ~0u;
      },
      "zip directory does not end where");
  end(
      "DirectoryOffsetWraps",
      [](ForgedEnd& e) {
        e.begin64 = ~0ull;
        e.begin = ~0u;
      },
      "number out of range");
  end(
      "DirectorySumOverflows",
      [](ForgedEnd& e) {
        e.begin64 = INT64_MAX;
        e.begin = ~0u;
      },
      "overflows");
  end(
      "ZipEndsContradict", [](ForgedEnd& e) { e.begin = 17; }, "contradict each other");
  end(
      "CountsContradict", [](ForgedEnd& e) { e.count = 2; }, "contradict each other");
  end(
      "End64Elsewhere", [](ForgedEnd& e) { e.end64 = 0; }, "zip64 end record is not where");
  end(
      "CountTooSmall",
      [](ForgedEnd& e) {
        e.count = 2;
        e.count64 = 2;
      },
      "bytes after the last");
  end(
      "CountTooLarge",
      [](ForgedEnd& e) {
        e.count = 5;
        e.count64 = 5;
      },
      "byte");
  end(
      "CountOfMillions",
      [](ForgedEnd& e) {
        e.count = 0xFFFF;
        e.count64 = 1ull << 40;
      },
      "too many records");
  end(
      "CountBeyondTheDirectory",
      [](ForgedEnd& e) {
        e.count = 0xFFFF;
        e.count64 = 200'000;
      },
      "more records than the directory has room for");
  end(
      "Comment",
      [](ForgedEnd& e) {
        e.comment = 5;
        e.after = "hello";
      },
      "a comment follow");
  end(
      "CommentIsAnArchive",
      [](ForgedEnd& e) {
        e.after = zip_bytes({});
        e.comment = static_cast<uint16_t>(e.after.size());
      },
      "zip");
  end(
      "BytesAfterTheEnd", [](ForgedEnd& e) { e.after = "%PDF-1.7"; }, "bytes or a comment follow");
  files.fault(
      "P21", "Overlap", [](auto& records, auto&) { records[1].offset = 0; }, "different names");
  files.fault(
      "P21", "RecordInsideAnother",
      [](auto& records, auto&) {
        // The storage holds a whole record; the directory points at it.
        ForgedRecord inner{"archive/data/7", "yy"};
        std::string bytes = zip_bytes({inner});
        std::string whole = bytes.substr(0, bytes.find("PK\x01\x02"));
        size_t before = zip_bytes({records[0]}).find("PK\x01\x02");
        records[1].data = whole;
        records.push_back(inner);
        records.back().offset = static_cast<uint32_t>(before + 30 + records[1].name.size());
      },
      "records overlap");
  files.fault(
      "P21", "OffsetPastTheDirectory", [](auto& records, auto&) { records[1].offset = 1 << 20; },
      "record begins behind the directory");
  std::string wide = number_bytes(1, 2) + number_bytes(8, 2) + number_bytes(~0ull, 8);
  files.fault(
      "P21", "Zip64OffsetLies",
      [wide](auto& records, auto&) {
        records[1].offset = ~0u;
        records[1].extra = wide;
      },
      "number out of range");
  files.fault(
      "P21", "Zip64FieldMissing", [](auto& records, auto&) { records[1].offset = ~0u; },
      "zip64 field is missing");
  files.fault(
      "P21", "Zip64FieldShort",
      [](auto& records, auto&) {
        records[1].offset = ~0u;
        records[1].extra = number_bytes(1, 2) + number_bytes(4, 2) + number_bytes(0, 4);
      },
      "truncated");
  files.fault(
      "P21", "TwoZip64Fields", [wide](auto& records, auto&) { records[1].extra = wide + wide; },
      "two zip64 fields");
  files.add(
      "P21", "MillionRecords", R,
      [] {
        std::vector<ForgedRecord> records(1'000'000, ForgedRecord{"a", ""});
        return zip_bytes(records, {.count = 0xFFFF, .zip64 = true});
      },
      "too many records");
  files.add(
      "P21", "CutEverywhere", R,
      [] {
        std::string good = changed([](auto&, auto&) {});
        return good.substr(0, good.size() - 1);
      },
      "no end of a zip directory");
  files.add(
      "P21", "Good", A, [] { return changed([](auto&, auto&) {}); }, "");
  files.add(
      "P21", "GoodWithoutZip64", A,
      [] { return changed([](auto&, auto& end64) { end64.zip64 = false; }); }, "");
  files.fault(
      "P21", "BigEndian",
      [](auto& records, auto&) {
        records.push_back({"archive/byteorder", "big"});
      },
      "big-endian", ErrorCode::Unsupported);
}

}  // namespace

std::vector<Case> zip_cases() {
  ZipFiles files;
  add_storages(files);
  add_formats(files);
  add_headers(files);
  add_directory_names(files);
  add_directory(files);
  return files.take();
}

}  // namespace tenon::bad_inputs
