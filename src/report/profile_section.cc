#include <fmt/format.h>

#include <algorithm>

#include "report/sections.h"

namespace tenon::report {
namespace {

using data::Json;

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

Table kinds_table(const Json& phase) {
  Table table{.head = {"kind", "steps", "us", "share", "MB", "MFLOP", "of roofline",
                       "a perfect kernel saves"},
              .align = "lrrrrrrr"};
  double whole = phase.get_double("seconds", 0);
  for (const Json& kind : phase.at("by_kind", "phase").as_array("by_kind")) {
    double seconds = kind.get_double("seconds", 0), least = kind.get_double("least_seconds", 0);
    table.rows.push_back({kind.get_string("name", "?"), std::to_string(kind.get_int("steps", 0)),
                          fmt::format("{:.1f}", 1e6 * seconds), percent(ratio(seconds, whole)),
                          fmt::format("{:.2f}", kind.get_double("bytes", 0) / 1e6),
                          fmt::format("{:.2f}", kind.get_double("flops", 0) / 1e6),
                          percent(ratio(least, seconds)),
                          percent(ratio(std::max(seconds - least, 0.0), whole))});
  }
  return table;
}

// The time of each layer, as what the roofline asks for and what is above it.
Chart layers_chart(const Json& phase) {
  Chart chart{.kind = Chart::Kind::Bars,
              .title = "Time by layer, " + phase.get_string("name", "?") + " phase",
              .unit = "us",
              .categories_name = "layer",
              .series = {{.name = "least by the roofline"}, {.name = "above it"}}};
  const Json::Array& layers = phase.at("by_layer", "phase").as_array("by_layer");
  constexpr size_t kMost = 60;
  for (size_t i = 0; i < std::min(layers.size(), kMost); ++i) {
    double seconds = layers[i].get_double("seconds", 0);
    double least = std::min(layers[i].get_double("least_seconds", 0), seconds);
    chart.categories.push_back(layers[i].get_string("name", "?"));
    chart.series[0].values.push_back(1e6 * least);
    chart.series[1].values.push_back(1e6 * (seconds - least));
  }
  return chart;
}

void add_phase(const Json& phase, Page& page) {
  page.blocks.push_back(Heading{3, "The " + phase.get_string("name", "?") + " phase"});
  page.blocks.push_back(Paragraph{
      fmt::format("Batch {}, new tokens each {}, positions seen {}: {} us in the steps, {} "
                  "us as a whole "
                  "run.",
                  phase.get_int("batch", 0), phase.get_int("tokens_each", 0),
                  phase.get_int("context", 0), format_figure(1e6 * phase.get_double("seconds", 0)),
                  format_figure(1e6 * phase.get_double("run_seconds", 0)))});
  page.blocks.push_back(kinds_table(phase));
  page.blocks.push_back(layers_chart(phase));
}

}  // namespace

void add_profile(const ReportInputs& inputs, Page& page) {
  page.blocks.push_back(Heading{2, "Where the time goes"});
  auto documents = documents_of(inputs, "profile");
  if (documents.empty()) {
    page.blocks.push_back(Paragraph{"Not measured for this report; tenon profile measures it."});
    return;
  }
  for (const Json* document : documents) {
    page.blocks.push_back(Paragraph{"On " + document->get_string("device_description", "?") +
                                    "; timed: " + document->get_string("how", "?") + "."});
    for (const Json& phase : document->at("phases", "profile").as_array("phases")) {
      add_phase(phase, page);
    }
  }
}

void add_evidence(const ReportInputs& inputs, Page& page) {
  page.blocks.push_back(Heading{2, "Evidence"});
  // Stages of other models are held to the norm of the error and the IoU of masks.
  bool language = inputs.file->plan().pipeline == "llm";
  Table table{.head = {"kind", "passed", "proof", "data", "largest error / RMS",
                       language ? "mean KL divergence" : "relative norm",
                       language ? "same top" : "IoU of masks", "device"},
              .align = "llllrrrl"};
  std::vector<std::string> proves;
  const Json& entries = inputs.file->evidence().entries;
  for (const Json& entry : entries.is_array() ? entries.as_array("evidence") : Json::Array{}) {
    const Json* result = entry.find("result");
    if (entry.get_string("kind", "") != "fidelity" || !result) continue;
    const Json* figures = result->find("against_golden");
    if (!figures) figures = result->find("against_oracle");
    Json none = Json::object();
    const Json& shown = figures ? *figures : none;
    table.rows.push_back(
        {"fidelity gate", result->get_bool("passed", false) ? "yes" : "no",
         result->get_string("proof", "?"), result->get_string("check_data", "?"),
         format_figure(shown.get_double("max_error_over_rms", 0)),
         format_figure(shown.get_double(language ? "mean_kld" : "relative_norm", 0)),
         language ? percent(shown.get_double("same_top", 0))
                  : format_figure(shown.get_double("mask_iou", 0)),
         result->get_string("device", "?")});
    std::string what = result->get_string("proves", "");
    if (!what.empty()) proves.push_back(result->get_string("device", "?") + ": " + what + ".");
  }
  if (table.rows.empty()) {
    page.blocks.push_back(Paragraph{"This plan carries no proof of its fidelity."});
    return;
  }
  page.blocks.push_back(
      Paragraph{"What the plan carries with it: self is against its own import in f32, golden "
                "against tensors "
                "of the original implementation."});
  page.blocks.push_back(std::move(table));
  for (std::string& what : proves) page.blocks.push_back(Paragraph{std::move(what)});
}

}  // namespace tenon::report
