#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/interruption.h"
#include "cli/proof_note.h"
#include "cli/tactics_note.h"
#include "cli/verb.h"
#include "compiler/version.h"
#include "plan/plan_file.h"
#include "server/http_server.h"
#include "server/sam_service.h"

namespace tenon::cli {
namespace {

struct ServeCommand {
  std::string plan, device = "cpu", api_key_file;
  server::HttpOptions http;
  int64_t pictures = 16;
};

void serve(const ServeCommand& command, Console& console) {
  server::HttpOptions listening = command.http;
  if (!command.api_key_file.empty()) listening.api_key = server::ApiKey::read(command.api_key_file);
  auto device = device::DeviceId::parse(command.device);
  auto file = plan::PlanFile::open(command.plan);
  if (file->plan().pipeline != "sam") {
    throw Error(ErrorCode::Unsupported, "only plans that take pictures are served")
        .at(command.plan)
        .got("a plan of the pipeline " + file->plan().pipeline)
        .fix("use tenon run or tenon chat");
  }
  auto predictor = sam::Predictor::open(file, {.devices = {device}});
  server::SamServiceOptions options;
  options.most_pictures = command.pictures;
  options.version = compiler::kVersion;
  options.device = device.to_string();
  options.plan_digest = to_hex(file->identity());
  options.proof_note = proof_note(*file, predictor->session().device());
  if (!options.proof_note.empty()) console.note("note: " + options.proof_note);
  note_tactics(predictor->session(), console);
  server::SamService service(*predictor, options);
  server::HttpServer http(listening, service);
  service.set_load([&] { return std::pair(http.running(), http.waiting()); });
  if (!http.is_loopback()) {
    console.note("note: whoever reaches " + http.url() +
                 (listening.api_key.is_set()
                      ? " can read what goes over the wire, the key too: there is no encryption"
                      : " can use it; there is no key and no encryption"));
  }
  data::Json started = data::Json::object();
  started.set("url", http.url()).set("port", int64_t{http.port()});
  if (console.json()) {
    started.set("device", options.device).set("tactics", tactics_json(predictor->session()));
    console.print_document("serve", started);
  } else {
    console.print(fmt::format("{}/\n", http.url()));
  }
  console.note("Ctrl-C ends it");
  http.run(interruption_fd());
  throw_if_interrupted();
}

}  // namespace

VerbAction declare_serve(CLI::App& app) {
  auto command = std::make_shared<ServeCommand>();
  app.add_option("plan", command->plan, "plan file of Segment Anything")
      ->required()
      ->type_name("PLAN");
  app.add_option("--device", command->device, "cpu, cuda or cuda:1")->capture_default_str();
  app.add_option("--host", command->http.address,
                 "the address to listen on; others than this machine's own reach it with 0.0.0.0")
      ->capture_default_str();
  app.add_option("--port", command->http.port, "0: one that is free")->capture_default_str();
  app.add_option("--api-key-file", command->api_key_file,
                 "a file with the key that every request must bring")
      ->type_name("FILE");
  app.add_option("--pictures", command->pictures, "pictures held at a time; older ones go")
      ->capture_default_str()
      ->check(CLI::Range(1, 4096));
  return [command](Console& console) { serve(*command, console); };
}

}  // namespace tenon::cli
