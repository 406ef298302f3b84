#include "models/rotary.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tenon::models {
namespace {

// The fields of rope_scaling or rope_parameters, with errors under that name.
struct RopeFields {
  ConfigReader& reader;
  std::string parent;
  const data::Json& fields;

  double number(std::string_view name, double above, double most, double otherwise) {
    const data::Json* value = fields.find(name);
    std::string place = parent + "." + std::string(name);
    std::string range = "above " + format_double(above) + ", at most " + format_double(most);
    if (!value || value->is_null()) {
      if (std::isnan(otherwise)) reader.problem(place, "field is missing", "nothing", range);
      return otherwise;
    }
    double number = value->is_number() ? value->as_double(name) : NAN;
    if (std::isfinite(number) && number > above && number <= most) return number;
    reader.problem(place, "number is out of range", value->dump(), range);
    return std::isnan(otherwise) ? 1.0 : otherwise;
  }
};

std::vector<float> base_frequencies(double theta, int64_t dim) {
  std::vector<float> freq(dim / 2);
  for (int64_t i = 0; i < dim / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(dim);
    freq[i] = 1.0f / std::pow(static_cast<float>(theta), exponent);
  }
  return freq;
}

void stretch_llama3(std::vector<float>& freq, RopeFields& fields) {
  double factor = fields.number("factor", 0, 1e6, NAN);
  double low = fields.number("low_freq_factor", 0, 1e6, NAN),
         high = fields.number("high_freq_factor", 0, 1e6, NAN);
  double original = fields.number("original_max_position_embeddings", 0, 1e9, NAN);
  if (!fields.reader.good()) return;
  if (high <= low) {
    fields.reader.problem(fields.parent + ".high_freq_factor", "must be above low_freq_factor",
                          format_double(high), "above " + format_double(low));
    return;
  }
  for (float& f : freq) {
    double wavelength = 2 * std::numbers::pi / f;
    if (wavelength > original / low) {
      f = static_cast<float>(f / factor);
    } else if (wavelength >= original / high) {
      double smooth = (original / wavelength - low) / (high - low);
      f = static_cast<float>((1 - smooth) * f / factor + smooth * f);
    }
  }
}

// The dimension at which a rotation turns `turns` times over the original context.
double yarn_correction_dim(double turns, int64_t dim, double theta, double original) {
  return dim * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

void stretch_yarn(Rotary& rotary, RopeFields& fields, double theta, int64_t dim, int64_t context) {
  double factor = fields.number("factor", 0, 1e6, NAN);
  double original =
      fields.number("original_max_position_embeddings", 0, 1e9, static_cast<double>(context));
  double fast = fields.number("beta_fast", 0, 1e6, 32),
         slow = fields.number("beta_slow", 0, 1e6, 1);
  double mscale = fields.number("mscale", 0, 1e3, 0),
         mscale_all = fields.number("mscale_all_dim", 0, 1e3, 0);
  if (!fields.reader.good()) return;
  double default_scale = mscale > 0 && mscale_all > 0
                             ? yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all)
                             : yarn_mscale(factor, 1);
  rotary.scale = fields.number("attention_factor", 0, 1e3, default_scale);
  const data::Json* truncate = fields.fields.find("truncate");
  bool whole = !truncate || !truncate->is_bool() || truncate->as_bool("truncate");
  double low = yarn_correction_dim(fast, dim, theta, original),
         high = yarn_correction_dim(slow, dim, theta, original);
  if (whole) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (high == low) high += 0.001;
  for (size_t i = 0; i < rotary.inv_freq.size(); ++i) {
    double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    double own = rotary.inv_freq[i];
    rotary.inv_freq[i] = static_cast<float>(own / factor * ramp + own * (1 - ramp));
  }
}

}  // namespace

Rotary read_rotary(ConfigReader& reader, int64_t rotary_dim, int64_t context) {
  static const data::Json kNone = data::Json::object();
  const data::Json* parameters = reader.find("rope_parameters");
  std::string parent = parameters ? "rope_parameters" : "rope_scaling";
  if (!parameters) parameters = reader.find("rope_scaling");
  if (parameters && !parameters->is_object()) {
    reader.problem(parent, "value has the wrong kind", parameters->kind_name(), "an object");
    parameters = nullptr;
  }
  RopeFields fields{reader, parent, parameters ? *parameters : kNone};
  double theta = fields.fields.find("rope_theta") ? fields.number("rope_theta", 0, 1e12, 10000)
                                                  : reader.number("rope_theta", 0, 1e12, 10000);
  std::string kind =
      fields.fields.get_string("rope_type", fields.fields.get_string("type", "default"));

  Rotary rotary;
  rotary.inv_freq = base_frequencies(theta, rotary_dim);
  if (kind == "linear") {
    double factor = fields.number("factor", 0, 1e6, NAN);
    for (float& f : rotary.inv_freq) f = static_cast<float>(f / static_cast<float>(factor));
  } else if (kind == "llama3") {
    stretch_llama3(rotary.inv_freq, fields);
  } else if (kind == "yarn") {
    stretch_yarn(rotary, fields, theta, rotary_dim, context);
  } else if (kind != "default") {
    reader.problem(parent + ".rope_type", "unknown kind of rotary scaling", kind,
                   "default, linear, llama3, yarn");
  }
  return rotary;
}

}  // namespace tenon::models
