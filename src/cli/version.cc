#include <CLI/CLI.hpp>

#include "base/thread_pool.h"
#include "cli/verb.h"
#include "compiler/version.h"
#include "device/device.h"
#include "models/model_list.h"
#include "plan/plan_format.h"

namespace tenon::cli {
namespace {

std::string plan_format() {
  return std::to_string(plan::kFormatMajor) + "." + std::to_string(plan::kFormatMinor);
}

void print_version(Console& console) {
  std::string device = device::cpu_device().description();
  int threads = process_thread_pool().size();
  data::Json names = data::Json::array();
  std::string list;
  for (const models::Architecture& architecture : models::architectures()) {
    names.push_back(architecture.name);
    list += (list.empty() ? "" : ", ") + std::string(architecture.name);
  }
  if (console.json()) {
    data::Json fields = data::Json::object();
    fields.set("version", compiler::kVersion).set("plan_format", plan_format());
    fields.set("device", device).set("threads", threads).set("architectures", std::move(names));
    console.print_document("version", fields);
    return;
  }
  console.print("tenon " + std::string(compiler::kVersion) + "\nplan format " + plan_format() +
                "\ndevice " + device + ", " + std::to_string(threads) + " threads\narchitectures " +
                list + "\n");
}

}  // namespace

VerbAction declare_version(CLI::App&) {
  return print_version;
}

}  // namespace tenon::cli
