#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/sections.h"

namespace tenon::report {
namespace {

using data::Json;

double number(const Json& json, std::string_view name) {
  // null stands for what is not finite.
  const Json* value = json.find(name);
  return value && value->is_number() ? value->as_double(name) : NAN;
}

std::vector<std::string> error_row(const std::string& name, const Json& error) {
  std::vector<std::string> row = {name};
  for (const char* field : {"max_abs", "mean_abs", "median_abs", "p99_abs", "max_rel", "mean_rel",
                            "median_rel", "p99_rel"}) {
    row.push_back(format_figure(number(error, field)));
  }
  return row;
}

void add_layers(const Json& layers, Page& page) {
  const Json::Array& ranked = layers.at("ranked", "layers").as_array("ranked");
  if (ranked.empty()) return;
  page.blocks.push_back(Heading{3, "Tensor by tensor"});
  const Json* first = layers.find("first_offender");
  page.blocks.push_back(Paragraph{fmt::format(
      "{} tensors read out after the shipped fused kernels; {}. Each step worked on the "
      "reference's "
      "values. {}",
      ranked.size(),
      layers.get_bool("fusion_unchanged", false) ? "the read-out changed no bit of the outputs"
                                                 : "the read-out changed the outputs",
      first && first->is_string() ? "First offender: " + first->as_string("first_offender") + "."
                                  : "No step stands out from its peers.")});
  Table table{
      .head = {"tensor", "op", "type", "own error", "with all before", "max abs", "max rel"},
      .align = "lllrrrr"};
  for (size_t i = 0; i < std::min<size_t>(ranked.size(), 12); ++i) {
    const Json &own = ranked[i].at("own", "ranked"), &all = ranked[i].at("accumulated", "ranked");
    table.rows.push_back(
        {ranked[i].get_string("tensor", ""), ranked[i].get_string("op", ""),
         ranked[i].get_string("dtype", ""), format_figure(number(own, "relative_norm")),
         format_figure(number(all, "relative_norm")), format_figure(number(own, "max_abs")),
         format_figure(number(own, "max_rel"))});
  }
  page.blocks.push_back(std::move(table));
}

void add_comparison(const Json& document, Page& page) {
  const Json& against = document.at("against", "compare");
  page.blocks.push_back(Paragraph{fmt::format(
      "Absolute and relative error of the outputs against {} {} in {}, over {} ({} sequences, {} "
      "tokens). Relative error divides by |reference| + 1e-6 of its RMS.",
      against.get_string("kind", "?"), against.get_string("path", "?"),
      against.get_string("dtype", "?"), document.get_string("check_data", "?"),
      document.get_int("sequences", 0), document.get_int("tokens", 0))});
  Table table{
      .head = {"output", "max abs", "mean", "median", "p99", "max rel", "mean", "median", "p99"},
      .align = "lrrrrrrrr"};
  for (const Json& output : document.at("outputs", "compare").as_array("outputs")) {
    table.rows.push_back(error_row(output.get_string("name", "?"), output.at("error", "outputs")));
    if (const Json* kld = output.find("kld")) {
      page.blocks.push_back(Paragraph{fmt::format(
          "{}: mean KL divergence {}, p99 {}, the same top token in {} of {} decided rows.",
          output.get_string("name", "?"), format_figure(number(*kld, "mean")),
          format_figure(number(*kld, "p99")), percent(number(*kld, "same_top")),
          kld->get_int("decided_rows", 0))});
    }
  }
  page.blocks.push_back(std::move(table));
  if (const Json* layers = document.find("layers")) add_layers(*layers, page);
}

void add_rouge(const Json& document, Page& page) {
  const Json& rouge = document.at("rouge", "eval");
  page.blocks.push_back(Heading{3, "ROUGE of summaries"});
  Table table{.head = {"", "ROUGE-1", "ROUGE-2", "ROUGE-L", "ROUGE-Lsum"}, .align = "lrrrr"};
  auto add = [&](const char* name, const char* field) {
    const Json* scores = rouge.find(field);
    if (!scores) return;
    std::vector<std::string> row = {name};
    for (const char* kind : {"rouge1", "rouge2", "rougeL", "rougeLsum"}) {
      const Json& score = scores->at(kind, field);
      row.push_back(fmt::format("{:.3f} [{:.2f}, {:.2f}]", number(score, "mid"),
                                number(score, "low"), number(score, "high")));
    }
    table.rows.push_back(std::move(row));
  };
  add("plan against gold", "plan");
  add("original against gold", "original");
  add("plan against original", "agreement");
  page.blocks.push_back(std::move(table));
  page.blocks.push_back(
      Paragraph{fmt::format("{} articles of {}, {} of generation in all.",
                            document.get_int("articles", 0), document.get_string("data", "?"),
                            fmt::format("{:.2f} s", document.get_double("seconds", 0)))});
}

void add_eval(const Json& document, Page& page) {
  std::string metric = document.get_string("metric", "");
  if (metric == "rouge") add_rouge(document, page);
  if (metric == "perplexity") {
    const Json& figures = document.at("perplexity", "eval");
    page.blocks.push_back(Heading{3, "Perplexity"});
    page.blocks.push_back(Paragraph{fmt::format(
        "{:.4f} by the convention {}, window {}: {} tokens of {}.", number(figures, "perplexity"),
        figures.get_string("convention", "?"), figures.get_int("window", 0),
        figures.get_int("tokens", 0), document.get_string("data", "?"))});
  }
  if (metric == "kld") {
    const Json& figures = document.at("kld", "eval");
    page.blocks.push_back(Heading{3, "KL divergence"});
    Table table{.head = {"positions", "mean", "median", "p90", "p99", "max", "same top token"},
                .align = "rrrrrrr"};
    std::vector<std::string> row = {std::to_string(figures.get_int("rows", 0))};
    for (const char* field : {"mean", "median", "p90", "p99", "max"}) {
      row.push_back(format_figure(number(figures, field)));
    }
    row.push_back(percent(number(figures, "same_top")));
    table.rows.push_back(std::move(row));
    page.blocks.push_back(std::move(table));
  }
}

}  // namespace

void add_accuracy(const ReportInputs& inputs, Page& page) {
  page.blocks.push_back(Heading{2, "Accuracy"});
  auto comparisons = documents_of(inputs, "compare"), evals = documents_of(inputs, "eval");
  if (comparisons.empty() && evals.empty()) {
    page.blocks.push_back(Paragraph{
        "Not measured for this report; what the build proved stands under Evidence. tenon compare "
        "and tenon eval measure it."});
  }
  for (const Json* document : comparisons) add_comparison(*document, page);
  for (const Json* document : evals) add_eval(*document, page);
}

}  // namespace tenon::report
