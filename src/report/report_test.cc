#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "report/escape.h"
#include "report/plan_report.h"
#include "report/svg_chart.h"

namespace tenon::report {
namespace {

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Escape, HtmlHoldsNoMarkupOfOthers) {
  EXPECT_EQ(escape_html("<b a=\"1\">&'"), "&lt;b a=&quot;1&quot;&gt;&amp;&#39;");
  EXPECT_EQ(escape_html("a\tb\n\xC3\xA9"), "a\tb\n\xC3\xA9");
  EXPECT_EQ(escape_html(std::string("\x1b[2J\0\xff\xc2\x9b", 8)),
            "\xEF\xBF\xBD[2J\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Escape, MarkdownCellsStayOneCell) {
  EXPECT_EQ(escape_markdown("a|b\n*c*`<x>"), "a\\|b \\*c\\*\\`&lt;x>");
}

TEST(Ticks, AreRoundAndReachTheLargest) {
  EXPECT_EQ(ticks_up_to(10), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(ticks_up_to(0.7), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8}));
  for (double largest : {1e-9, 0.3, 1.0, 4.9, 99.0, 123456.0, 3e12}) {
    std::vector<double> ticks = ticks_up_to(largest);
    EXPECT_GE(ticks.back(), largest * (1 - 1e-9)) << largest;
    EXPECT_LT(ticks[ticks.size() - 2], largest) << largest;
    EXPECT_LE(ticks.size(), 7u) << largest;
  }
  EXPECT_EQ(ticks_up_to(0).size(), 2u);
  EXPECT_EQ(ticks_up_to(NAN).size(), 2u);
}

TEST(Figures, HaveThreeDigits) {
  EXPECT_EQ(format_figure(0), "0");
  EXPECT_EQ(format_figure(1234.5), "1234");
  EXPECT_EQ(format_figure(0.012345), "0.0123");
  EXPECT_EQ(format_figure(1.5e-7), "1.5e-07");
  EXPECT_EQ(format_figure(INFINITY), "not finite");
}

TEST(Charts, MarkEveryValueThatIsThere) {
  Chart chart{.title = "T <1>",
              .unit = "ms",
              .categories_name = "batch",
              .categories = {"1", "2", "4"},
              .series = {{.name = "a", .values = {1, NAN, 3}}, {.name = "b", .values = {4, 5}}}};
  std::string svg = to_svg(chart);
  EXPECT_EQ(count(svg, "<title>"), 4u);
  EXPECT_NE(svg.find("<title>a, 4: 3 ms</title>"), svg.npos);
  EXPECT_EQ(svg.find("T <1>"), svg.npos);
  EXPECT_EQ(svg.find("nan"), svg.npos);
  EXPECT_EQ(count(svg, "<polyline"), 2u);
  chart.kind = Chart::Kind::Bars;
  std::string bars = to_svg(chart);
  EXPECT_EQ(count(bars, "<title>"), 4u);
  EXPECT_EQ(bars.find("nan"), bars.npos);
  Chart empty{.title = "none"};
  EXPECT_EQ(to_svg(empty).find("nan"), std::string::npos);
}

// A plan that is in memory only.
class MemoryPlan : public plan::PlanFile {
 public:
  explicit MemoryPlan(const std::string& pipeline = "llm") {
    plan_.pipeline = pipeline;
    plan_.name = "<script>alert(1)</script>";
    plan_.architecture = "llama";
    plan_.precision.set("dtype", "bf16");
    data::Json result = data::Json::object(), entry = data::Json::object();
    data::Json figures = data::Json::object();
    figures.set("mean_kld", 1.25e-4).set("max_error_over_rms", 0.01).set("same_top", 1.0);
    result.set("passed", true).set("proof", "self").set("check_data", "built-in prompts");
    result.set("device", "a CPU").set("against_oracle", figures);
    evidence_.entries.push_back(entry.set("kind", "fidelity").set("result", result));
  }
  const plan::Plan& plan() const override { return plan_; }
  const plan::Evidence& evidence() const override { return evidence_; }
  Digest identity() const override { return {}; }
  const std::string& path() const override { return path_; }
  TensorView constant(size_t) const override { return {}; }
  void verify_all_weights() const override {}
  void verify_unchanged() const override {}
  const std::vector<Section>& sections() const override { return sections_; }

 private:
  plan::Plan plan_;
  plan::Evidence evidence_;
  std::string path_ = "folder/model.plan";
  std::vector<Section> sections_;
};

data::Json bench_document(double scale) {
  return data::parse_json(
      "{\"verb\": \"bench\", \"device_description\": \"a CPU\", \"rows\": ["
      "{\"batch\": 1, \"prompt_tokens\": 32, \"new_tokens\": 8, \"first_token_seconds\": "
      "{\"p50\": " +
      std::to_string(0.01 * scale) +
      "}, \"per_token_seconds\": {\"p50\": " + std::to_string(0.002 * scale) +
      "}, \"tokens_per_second\": 400},"
      "{\"batch\": 4, \"prompt_tokens\": 32, \"new_tokens\": 8, \"first_token_seconds\": " +
      std::to_string(0.04 * scale) + ", \"per_token_seconds\": {\"p50\": " +
      std::to_string(0.004 * scale) + ", \"p99\": 0.01}, \"tokens_per_second\": 800}]}");
}

data::Json compare_document() {
  return data::parse_json(R"({"verb": "compare", "against": {"kind": "oracle", "path": "m",
    "dtype": "f32"}, "check_data": "built-in prompts", "sequences": 6, "tokens": 120, "outputs":
    [{"name": "logits", "rows": 9, "error": {"max_abs": 0.05, "mean_abs": 0.004, "median_abs":
    0.003, "p99_abs": 0.02, "max_rel": 12.5, "mean_rel": 0.1, "median_rel": 0.01, "p99_rel": 1},
    "kld": {"mean": 0.0001, "p99": 0.002, "same_top": 1, "decided_rows": 9}}],
    "layers": {"fusion_unchanged": true, "first_offender": "model.layers.2.mlp", "ranked":
    [{"tensor": "model.layers.2.mlp", "op": "glu", "dtype": "bf16", "own": {"relative_norm": 0.5,
    "max_abs": null, "max_rel": 2}, "accumulated": {"relative_norm": 0.6}}], "not_observable": []}})");
}

data::Json profile_document() {
  return data::parse_json(R"({"verb": "profile", "device_description": "a CPU", "how": "so",
    "phases": [{"name": "token", "batch": 1, "tokens_each": 1, "context": 256, "seconds": 0.002,
    "run_seconds": 0.0021, "by_kind": [{"name": "linear", "steps": 5, "seconds": 0.002, "bytes":
    1e6, "flops": 2e6, "least_seconds": 0.001}], "by_layer": [{"name": "model.layers.0", "steps": 5,
    "seconds": 0.002, "bytes": 1e6, "flops": 2e6, "least_seconds": 0.001}]}]})");
}

data::Json picture_document() {
  return data::parse_json(R"({"verb": "run", "device": "cpu", "overlay": "out/a b.png", "image":
    {"path": "in/<dog>.jpg", "width": 40, "height": 30}, "speed": {"decode_seconds": 0.001,
    "encode_seconds": 0.25, "mask_seconds": 0.004}, "masks": [{"bbox": [1, 2, 30, 20], "area": 345,
    "predicted_iou": 0.9876}, {"bbox": [0, 0, 1, 1], "area": 2, "predicted_iou": 0.5,
    "stability_score": 0.75}]})");
}

TEST(Report, PicturesAreInThePageAndBesideTheMarkdown) {
  MemoryPlan file("sam");
  ReportInputs inputs;
  inputs.file = &file;
  inputs.documents = {picture_document()};
  inputs.drawings["out/a b.png"] = "data:image/png;base64,AAAA";
  data::Json times = data::parse_json(R"({"image": {"path": "<dog>.jpg"},
    "speed": {"encode_seconds": 0.3, "mask_seconds": 0.008, "repeats": 5}})");
  inputs.baselines = {{"other", times}, {"elsewhere", data::Json::object()}};
  Page page = plan_report(inputs);
  std::string html = to_html(page), markdown = to_markdown(page);
  EXPECT_NE(html.find("src=\"data:image/png;base64,AAAA\""), html.npos);
  EXPECT_EQ(html.find("<dog>"), html.npos);
  EXPECT_NE(markdown.find("](a%20b.png)"), markdown.npos);
  EXPECT_NE(markdown.find("| 1 | 1 | 2 | 30 | 20 | 345 | 0.988 |  |"), markdown.npos) << markdown;
  EXPECT_NE(markdown.find("read in 1 ms"), markdown.npos) << markdown;
  EXPECT_NE(markdown.find("| Tenon | 250 | 4 | 1 |"), markdown.npos) << markdown;
  EXPECT_NE(markdown.find("| other | 300 | 8 | 5 |"), markdown.npos) << markdown;
  EXPECT_EQ(markdown.find("elsewhere"), markdown.npos) << markdown;
  // What only language models have is not said to be missing.
  EXPECT_EQ(html.find("Speed"), html.npos);
  inputs.drawings.clear();
  EXPECT_EQ(to_html(plan_report(inputs)).find("<img"), std::string::npos);
}

Page full_page(const MemoryPlan& file) {
  ReportInputs inputs;
  inputs.file = &file;
  inputs.tenon = "0.1.0";
  inputs.machine = {"a CPU"};
  inputs.commands = {"tenon build MODEL -o PLAN"};
  inputs.documents = {bench_document(1), compare_document(), profile_document()};
  inputs.baselines = {{"other & co", bench_document(2)}};
  return plan_report(inputs);
}

TEST(Report, HtmlIsOneFileWithoutScripts) {
  MemoryPlan file;
  std::string html = to_html(full_page(file));
  EXPECT_EQ(html.find("<script"), html.npos);
  EXPECT_EQ(html.find("http"), html.npos);
  EXPECT_EQ(html.find("src="), html.npos);
  EXPECT_NE(html.find("prefers-color-scheme:dark"), html.npos);
  EXPECT_NE(html.find("other &amp; co"), html.npos);
  for (const char* tag : {"table", "tr", "figure", "svg", "pre", "h2", "h3", "p", "text"}) {
    EXPECT_EQ(count(html, "<" + std::string(tag) + ">") + count(html, "<" + std::string(tag) + " "),
              count(html, "</" + std::string(tag) + ">"))
        << tag;
  }
}

TEST(Report, SaysWhatWasMeasured) {
  MemoryPlan file;
  for (const std::string& text : {to_html(full_page(file)), to_markdown(full_page(file))}) {
    for (const char* what :
         {"What it is", "How to make it again", "Environment", "Accuracy", "Latency and throughput",
          "Where the time goes", "Evidence", "2.00 x", "First offender", "not finite", "self",
          "tenon build MODEL -o PLAN", "0.000125", "50.0 %"}) {
      EXPECT_NE(text.find(what), text.npos) << what;
    }
  }
}

TEST(Report, MissingFiguresAreNamed) {
  MemoryPlan file;
  ReportInputs inputs;
  inputs.file = &file;
  std::string text = to_markdown(plan_report(inputs));
  EXPECT_EQ(count(text, "Not measured for this report"), 3u);
}

TEST(Report, DocumentsThatAreNoneAreRefused) {
  MemoryPlan file;
  ReportInputs inputs;
  inputs.file = &file;
  inputs.baselines = {{"x", data::Json::object()}};
  EXPECT_THROW(plan_report(inputs), Error);
  inputs.baselines.clear();
  inputs.documents = {data::parse_json("{\"verb\": \"compare\"}")};
  EXPECT_THROW(plan_report(inputs), Error);
}

}  // namespace
}  // namespace tenon::report
