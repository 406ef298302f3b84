#include <fmt/format.h>

#include <algorithm>

#include "report/sections.h"

namespace tenon::report {
namespace {

using data::Json;

constexpr size_t kMostMasks = 12;

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Table mask_table(const Json::Array& masks) {
  Table table{.head = {"mask", "x", "y", "width", "height", "pixels", "predicted IoU", "stability"},
              .align = "rrrrrrrr"};
  for (size_t i = 0; i < std::min(masks.size(), kMostMasks); ++i) {
    std::vector<std::string> row = {std::to_string(i + 1)};
    for (const Json& edge : masks[i].at("bbox", "masks").as_array("bbox"))
      row.push_back(std::to_string(edge.as_int("bbox")));
    row.resize(5);
    row.push_back(std::to_string(masks[i].get_int("area", 0)));
    for (const char* name : {"predicted_iou", "stability_score"}) {
      const Json* score = masks[i].find(name);
      row.push_back(score ? fmt::format("{:.3f}", score->as_double(name)) : "");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Beside other programs' times for the same picture and prompts.
Table time_table(const ReportInputs& inputs, const Json& document) {
  Table table{.head = {"ms, median", "encoding", "masks", "of"}, .align = "lrrr"};
  auto add = [&](const std::string& name, const Json& speed) {
    auto shown = [&](const char* field) {
      const Json* seconds = speed.find(field);
      return seconds ? milliseconds(seconds->as_double(field)) : std::string();
    };
    table.rows.push_back({name, shown("encode_seconds"), shown("mask_seconds"),
                          std::to_string(speed.get_int("repeats", 1))});
  };
  add("Tenon", document.at("speed", "run"));
  std::string picture = file_name(document.at("image", "run").get_string("path", ""));
  bool everything = !document.at("speed", "run").find("encode_seconds");
  for (const Baseline& baseline : inputs.baselines) {
    const Json* image = baseline.document.find("image");
    const Json* speed = baseline.document.find("speed");
    if (!image || !speed || file_name(image->get_string("path", "")) != picture) continue;
    if (everything == !speed->find("encode_seconds")) add(baseline.name, *speed);
  }
  return table;
}

void add_run(const ReportInputs& inputs, const Json& document, Page& page) {
  const Json& image = document.at("image", "run");
  const Json::Array& masks = document.at("masks", "run").as_array("masks");
  std::string caption =
      fmt::format("{}, {} x {} pixels, {} mask{}", file_name(image.get_string("path", "")),
                  image.get_int("width", 0), image.get_int("height", 0), masks.size(),
                  masks.size() == 1 ? "" : "s");
  std::string overlay = document.get_string("overlay", "");
  auto drawing = inputs.drawings.find(overlay);
  if (drawing != inputs.drawings.end())
    page.blocks.push_back(Picture{caption, file_name(overlay), drawing->second});
  const Json& speed = document.at("speed", "run");
  page.blocks.push_back(
      Paragraph{fmt::format("{} on {}: read in {} ms.", caption, document.get_string("device", "?"),
                            milliseconds(speed.get_double("decode_seconds", 0)))});
  page.blocks.push_back(time_table(inputs, document));
  page.blocks.push_back(mask_table(masks));
  if (masks.size() > kMostMasks)
    page.blocks.push_back(Paragraph{fmt::format("and {} more.", masks.size() - kMostMasks)});
}

}  // namespace

void add_pictures(const ReportInputs& inputs, Page& page) {
  std::vector<const Json*> runs = documents_of(inputs, "run");
  if (runs.empty()) return;
  page.blocks.push_back(Heading{2, "Masks"});
  for (const Json* run : runs) add_run(inputs, *run, page);
}

}  // namespace tenon::report
