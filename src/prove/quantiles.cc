#include "prove/quantiles.h"

#include <algorithm>

#include "metrics/quantile.h"

namespace tenon::prove {

Quantiles quantiles_of(std::vector<double> seconds) {
  Quantiles result;
  result.count = static_cast<int64_t>(seconds.size());
  if (seconds.empty()) return result;
  for (double value : seconds) result.mean += value / static_cast<double>(seconds.size());
  result.p50 = metrics::quantile(seconds, 0.50);
  result.p90 = metrics::quantile(seconds, 0.90);
  result.p99 = metrics::quantile(seconds, 0.99);
  result.least = *std::min_element(seconds.begin(), seconds.end());
  result.most = *std::max_element(seconds.begin(), seconds.end());
  return result;
}

data::Json to_json(const Quantiles& quantiles) {
  data::Json json = data::Json::object();
  json.set("count", quantiles.count).set("mean", quantiles.mean).set("p50", quantiles.p50);
  json.set("p90", quantiles.p90).set("p99", quantiles.p99);
  return json.set("min", quantiles.least).set("max", quantiles.most);
}

}  // namespace tenon::prove
