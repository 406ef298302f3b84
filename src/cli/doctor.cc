#include <CLI/CLI.hpp>

#include "base/text.h"
#include "cli/text_table.h"
#include "cli/verb.h"
#include "compiler/version.h"
#include "runtime/machine_report.h"

namespace tenon::cli {
namespace {

using data::Json;
using Rows = std::vector<std::vector<std::string>>;

std::string capability(const device::Gpu& gpu) {
  return std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
}

Json to_json(const Error& error) {
  Json json = Json::object();
  json.set("code", static_cast<int>(error.code()));
  json.set("message", error.what());
  return json;
}

Json to_json(const device::LibraryReport& library) {
  Json json = Json::object();
  json.set("file", library.file).set("found", library.problem.empty());
  json.set("path", library.path).set("version", library.version);
  json.set("problem", library.problem).set("enables", library.enables);
  return json;
}

Json to_json(const runtime::GpuReport& report) {
  const device::Gpu& gpu = report.gpu;
  Json json = Json::object();
  json.set("index", gpu.index).set("name", gpu.name).set("compute_capability", capability(gpu));
  json.set("bytes", gpu.bytes);
  json.set("free_bytes", report.free_bytes < 0 ? Json() : Json(report.free_bytes));
  json.set("works", !report.refusal.has_value());
  json.set("problem", report.refusal ? to_json(*report.refusal) : Json());
  return json;
}

// The back end first, then what it opens itself.
std::vector<device::LibraryReport> all_libraries(const runtime::MachineReport& report) {
  std::vector<device::LibraryReport> all = {report.driver, report.backend};
  all.insert(all.end(), report.libraries.begin(), report.libraries.end());
  return all;
}

bool has_gpu(const runtime::MachineReport& report) {
  for (const runtime::GpuReport& gpu : report.gpus) {
    if (!gpu.refusal) return true;
  }
  return false;
}

Json to_json(const runtime::MachineReport& report) {
  Json features = Json::array(), gpus = Json::array(), libraries = Json::array();
  for (const runtime::CpuFeature& feature : report.cpu_features) {
    Json json = Json::object();
    json.set("name", feature.name).set("usable", feature.missing.empty());
    features.push_back(std::move(json));
  }
  for (const runtime::GpuReport& gpu : report.gpus) gpus.push_back(to_json(gpu));
  for (const auto& library : all_libraries(report)) libraries.push_back(to_json(library));
  Json devices = Json::array();
  devices.push_back("cpu");
  for (const runtime::GpuReport& gpu : report.gpus) {
    if (!gpu.refusal) devices.push_back("cuda:" + std::to_string(gpu.gpu.index));
  }
  Json json = Json::object();
  json.set("version", compiler::kVersion).set("cpu", report.cpu);
  json.set("cpu_features", std::move(features));
  Json driver, needed, architectures;
  if (report.survey) {
    if (report.survey->driver_version > 0) {
      driver = device::cuda_version_text(report.survey->driver_version);
    }
    needed = device::cuda_version_text(report.survey->needed_version);
    architectures = Json::array();
    for (const std::string& name : split(report.survey->architectures, ',')) {
      architectures.push_back(name);
    }
  }
  json.set("driver_cuda", std::move(driver)).set("needed_cuda", std::move(needed));
  json.set("cuda_architectures", std::move(architectures));
  json.set("gpus", std::move(gpus)).set("libraries", std::move(libraries));
  json.set("no_gpu", report.no_gpu ? to_json(*report.no_gpu) : Json());
  json.set("devices", std::move(devices));
  return json;
}

void add_gpus(Rows& rows, const runtime::MachineReport& report) {
  for (const runtime::GpuReport& gpu : report.gpus) {
    std::string what = gpu.gpu.name + ", compute capability " + capability(gpu.gpu) + ", " +
                       format_bytes(gpu.gpu.bytes);
    if (gpu.free_bytes >= 0) what += ", " + format_bytes(gpu.free_bytes) + " free";
    rows.push_back({"cuda:" + std::to_string(gpu.gpu.index), what});
    rows.push_back({"", gpu.refusal ? std::string("no: ") + gpu.refusal->what() : "works"});
  }
  if (report.no_gpu) rows.push_back({"cuda", std::string("no: ") + report.no_gpu->what()});
}

std::string to_text(const runtime::MachineReport& report) {
  Rows rows = {{"tenon", std::string(compiler::kVersion)}, {"cpu", report.cpu}, {"", "works"}};
  for (const runtime::CpuFeature& feature : report.cpu_features) {
    rows.push_back({"", feature.name + (feature.missing.empty() ? "" : ": " + feature.missing)});
  }
  if (report.survey) {
    const device::GpuSurvey& survey = *report.survey;
    std::string needed = ", needed " + device::cuda_version_text(survey.needed_version);
    if (survey.driver_version > 0) {
      rows.push_back(
          {"driver", "for CUDA " + device::cuda_version_text(survey.driver_version) + needed});
    }
    rows.push_back({"code for", survey.architectures});
  }
  add_gpus(rows, report);
  Rows libraries = {{"library", "what it is for", "found"}};
  for (const device::LibraryReport& library : all_libraries(report)) {
    std::string version = library.version.empty() ? "" : " (" + library.version + ")";
    std::string found = library.problem.empty() ? library.path + version : "no: " + library.problem;
    libraries.push_back({library.file, library.enables, found});
  }
  return text_table(rows) + "\n" + text_table(libraries) + "\n" +
         (has_gpu(report) ? "Plans run on this machine's CPU and GPU.\n"
                          : "Plans run on this machine's CPU.\n");
}

void print_report(Console& console) {
  runtime::MachineReport report = runtime::report_machine();
  if (console.json()) {
    console.print_document("doctor", to_json(report));
  } else {
    console.print(to_text(report));
  }
}

}  // namespace

VerbAction declare_doctor(CLI::App&) {
  return print_report;
}

}  // namespace tenon::cli
