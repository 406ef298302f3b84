#include <cstring>
#include <filesystem>
#include <fstream>

#include "bad_input.h"
#include "plan/plan_file.h"
#include "plan/plan_test_plans.h"
#include "plan_forge.h"

namespace tenon::bad_inputs {
namespace fs = std::filesystem;
namespace {

constexpr Expect R = Expect::Refuse, A = Expect::Accept;

void add_cuts(std::vector<Case>& cases) {  // L01, L02
  std::string good = good_plan();
  cases.push_back(plan_case("L01", "Good", A, good, ""));
  cases.push_back(plan_case("L01", "Empty", R, "", "byte 0: not a plan file"));
  cases.push_back(plan_case("L01", "OneByte", R, "T", "truncated; got have 1, need 64"));
  cases.push_back(plan_case("L01", "OneWrongByte", R, "x", "byte 0: not a plan file"));
  cases.push_back(
      plan_case("L01", "WrongMagic", R, "TENONPLX" + good.substr(8), "byte 0: not a plan"));
  cases.push_back(plan_case("L01", "OnlyMagic", R, good.substr(0, 8), "truncated; got have 8"));
  std::vector<size_t> cuts;
  for (size_t at = 4096; at < good.size(); at += 4096) cuts.push_back(at);
  for (const plan::SectionEntry& entry : PlanForge().header().sections) {
    cuts.push_back(entry.offset);
    if (entry.offset + entry.bytes < static_cast<int64_t>(good.size())) {
      cuts.push_back(entry.offset + entry.bytes);
    }
  }
  for (size_t at : {63, 64, 100, 768}) cuts.push_back(at);
  std::sort(cuts.begin(), cuts.end());
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (size_t at : cuts) {
    cases.push_back(plan_case("L02", "Cut" + std::to_string(at), R, good.substr(0, at),
                              "truncated; got have " + std::to_string(at) + ", need "));
  }
  cases.push_back(plan_case("L02", "GluedOn", R, good + "x", "bytes after the end of the plan"));
}

// Flips every bit of one in each byte; refuses like an opener only if every flip was refused.
void expect_flips_refused(const std::string& path) {
  std::fstream stream(path, std::ios::binary | std::ios::in | std::ios::out);
  std::string good{std::istreambuf_iterator<char>(stream), {}};
  auto put = [&](size_t at, char value) {
    stream.clear();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(value).flush();
  };
  for (size_t at = 0; at < good.size(); ++at) {
    put(at, static_cast<char>(good[at] ^ (1 << (at % 8))));
    try {
      use_plan(path);
      throw Error(ErrorCode::Internal, "a flipped bit was not noticed")
          .at("byte " + std::to_string(at));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal) throw;
    }
    put(at, good[at]);
  }
}

void add_flips(std::vector<Case>& cases) {  // L03
  Case flips = plan_case("L03", "EveryByte", A, good_plan(), "");
  flips.open = expect_flips_refused;
  flips.changes_files = true;
  cases.push_back(flips);
  std::string good = good_plan();
  good[4096] ^= 1;
  cases.push_back(
      plan_case("L03", "WeightBit", R, good, "constant embed.weight: 4 MiB from byte 4096"));
}

void add_versions(std::vector<Case>& cases) {  // L04
  auto version = [&](const std::string& name, uint16_t major, const std::string& message) {
    std::string bytes = PlanForge().version(major, 0).bytes();
    cases.push_back(plan_case("L04", name, R, bytes, message));
    cases.back().codes = {ErrorCode::WrongPlan};
  };
  version("Zero", 0, "got 0.0, accepted 1.x");
  version("Newer", 2, "got 2.0, accepted 1.x");
  version("FromTheFuture", 65535, "got 65535.0, accepted 1.x");
  cases.push_back(plan_case("L04", "MinorNewer", A, PlanForge().version(1, 9).bytes(), ""));
  cases.push_back(
      plan_case("L04", "MinorNewerOptional", A,
                PlanForge().version(1, 9).add_before_evidence("news", "data", true).bytes(), ""));
  cases.push_back(
      plan_case("L04", "MinorNewerRequired", R,
                PlanForge().version(1, 9).add_before_evidence("news", "data", false).bytes(),
                "section news: unknown section; got format 1.9"));
}

void add_tables(std::vector<Case>& cases) {  // L06, L09
  auto table = [&](const std::string& name, const std::string& message,
                   std::function<void(plan::FileHeader&)> change) {
    PlanForge forge;
    plan::FileHeader header = forge.header();
    change(header);
    cases.push_back(plan_case("L06", name, R, forge.with_header(header), message));
  };
  table("Overlap", "section stages: section overlaps",
        [](plan::FileHeader& h) { h.sections[3].offset = h.sections[2].offset; });
  table("Gap", "section stages: section overlaps another or leaves a gap",
        [](plan::FileHeader& h) { h.sections[2].bytes = 1; });
  table("PastTheEnd", "section chunks: section ends after the file",
        [](plan::FileHeader& h) { h.sections[1].bytes = h.file_bytes; });
  table("OffsetPastTheEnd", "section chunks: section ends after the file",
        [](plan::FileHeader& h) { h.sections[1].offset = h.file_bytes + 64; });
  table("SumWraps", "section plan: section ends after the file", [](plan::FileHeader& h) {
    h.sections[2].offset = INT64_MAX - 63;
    h.sections[2].bytes = INT64_MAX;
  });
  table("NegativeSize", "section plan: bytes: number out of range",
        [](plan::FileHeader& h) { h.sections[2].bytes = -1; });
  table("NameTwice", "section plan: section appears twice",
        [](plan::FileHeader& h) { h.sections[3].name = "plan"; });
  table("NameNotTerminated", "section name is not terminated",
        [](plan::FileHeader& h) { h.sections[3].name = "abcdefghijklmnop"; });
  table("NameEmpty", "section name is empty", [](plan::FileHeader& h) { h.sections[3].name = ""; });
  table("NameSteersTheTerminal", "section name is empty or holds other",
        [](plan::FileHeader& h) { h.sections[3].name = "\x1b[2J"; });
  table("WeightsDigest", "section chunks: digests do not fit",
        [](plan::FileHeader& h) { h.sections[0].digest.low ^= 1; });
  std::string many = good_plan();
  std::memset(many.data() + 16, 0xFF, 4);
  cases.push_back(plan_case("L06", "FourBillionSections", R, many, "byte 16: too many sections"));
  auto byte = [&](const std::string& name, size_t at, char value, const std::string& message) {
    cases.push_back(plan_case("L06", name, R, with_header_byte(at, value), message));
  };
  byte("HeaderFlags", 12, 1, "byte 12: unknown header flags");
  byte("HeaderReserved", 47, 1, "byte 12: unknown header flags");
  byte("EntrySize", 20, 65, "byte 20: unknown section table");
  byte("TableOffset", 24, 65, "byte 20: unknown section table");
  byte("SectionFlags", 64 + 48, 2, "section weights: unknown section flags");
  byte("SectionReserved", 64 + 63, 1, "section weights: unknown section flags");
  byte("NameAfterItsZero", 64 + 14, 'x', "section name is empty or holds other");
  cases.push_back(
      plan_case("L06", "ChunksMissing", R, PlanForge().remove("chunks").bytes(), "section chunks"));
  cases.push_back(plan_case("L06", "ChunksShort", R, PlanForge().set("chunks", "").bytes(),
                            "section chunks: digests do not fit"));
  for (bool optional : {false, true}) {
    cases.push_back(plan_case("L09", optional ? "OptionalLibrary" : "Library", R,
                              PlanForge()
                                  .add_before_evidence("library",
                                                       "\x7f"
                                                       "ELF",
                                                       optional)
                                  .bytes(),
                              "section library: unknown section"));
  }
}

void add_replacements(std::vector<Case>& cases) {  // L13
  auto opened_then = [](std::function<void(const std::string&)> change) {
    return [change](const std::string& path) {
      auto plan = plan::PlanFile::open(path);
      change(path);
      plan->verify_all_weights();
      plan->verify_unchanged();
    };
  };
  Case replaced = plan_case("L13", "ReplacedWhileLoaded", A, good_plan(), "");
  replaced.open = opened_then([](const std::string& path) {
    std::ofstream(path + ".new") << "another file";
    fs::rename(path + ".new", path);
  });
  Case truncated = plan_case("L13", "TruncatedWhileLoaded", R, good_plan(), "file changed");
  truncated.open = opened_then([](const std::string& path) { fs::resize_file(path, 4096); });
  replaced.changes_files = truncated.changes_files = true;
  Case linked = plan_case("L13", "BehindALink", A, "", "");
  linked.make = [](const Folder& folder) {
    folder.write("real.plan", good_plan());
    fs::create_symlink("real.plan", folder.file("link.plan"));
    return folder.file("link.plan");
  };
  cases.insert(cases.end(), {replaced, truncated, linked});
}

}  // namespace

std::vector<Case> plan_file_cases() {
  std::vector<Case> cases;
  add_cuts(cases);
  add_flips(cases);
  add_versions(cases);
  add_tables(cases);
  add_replacements(cases);
  return cases;
}

}  // namespace tenon::bad_inputs
