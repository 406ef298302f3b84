#include "prove/rouge_eval.h"

#include "base/text.h"

namespace tenon::prove {
namespace {

metrics::RougeSummary score(const std::vector<std::string>& texts,
                            const std::vector<std::string>& references,
                            const RougeOptions& options) {
  std::vector<metrics::RougeScores> scores;
  for (size_t i = 0; i < texts.size(); ++i) {
    scores.push_back(metrics::rouge(texts[i], references[i], {.stem = options.stem}));
  }
  return metrics::summarize_rouge(scores, {.seed = options.seed});
}

data::Json points(const metrics::RougeBounds& bounds, const metrics::RougeScore& mean) {
  data::Json json = data::Json::object();
  json.set("mid", 100 * bounds.mid.f).set("low", 100 * bounds.low.f);
  json.set("high", 100 * bounds.high.f).set("mean", 100 * mean.f);
  return json;
}

}  // namespace

RougeEval evaluate_rouge(const std::vector<Article>& articles,
                         const std::vector<std::string>& texts,
                         const std::vector<std::string>& original, const RougeOptions& options) {
  RougeEval eval;
  std::vector<std::string> gold;
  for (const Article& article : articles) gold.push_back(article.highlights);
  eval.gold = score(texts, gold, options);
  double rouge1 = 100 * eval.gold.rouge1.mid.f;
  if (options.min_rouge1 && !(rouge1 > *options.min_rouge1)) {
    eval.failures.push_back("ROUGE-1 is " + format_double(rouge1) + ", budget above " +
                            format_double(*options.min_rouge1));
  }
  if (original.empty()) return eval;
  eval.original = score(original, gold, options);
  eval.agreement = score(texts, original, options);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (strip_white_space(texts[i]) == strip_white_space(original[i])) ++eval.identical;
  }
  double drop = 100 * eval.original->rouge1.mid.f - rouge1;
  if (!(drop <= options.max_drop)) {
    eval.failures.push_back("ROUGE-1 is " + format_double(drop) +
                            " points below the original's, budget at most " +
                            format_double(options.max_drop));
  }
  return eval;
}

data::Json to_json(const metrics::RougeSummary& summary) {
  data::Json json = data::Json::object();
  json.set("rouge1", points(summary.rouge1, summary.mean.rouge1));
  json.set("rouge2", points(summary.rouge2, summary.mean.rouge2));
  json.set("rougeL", points(summary.rouge_l, summary.mean.rouge_l));
  json.set("rougeLsum", points(summary.rouge_l_sum, summary.mean.rouge_l_sum));
  return json;
}

data::Json to_json(const RougeEval& eval) {
  data::Json json = data::Json::object();
  json.set("plan", to_json(eval.gold));
  if (eval.original) {
    json.set("original", to_json(*eval.original)).set("agreement", to_json(*eval.agreement));
    json.set("rouge1_drop", 100 * (eval.original->rouge1.mid.f - eval.gold.rouge1.mid.f));
    json.set("identical", eval.identical);
  }
  json.set("passed", eval.failures.empty());
  return json;
}

}  // namespace tenon::prove
