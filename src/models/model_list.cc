#include "models/model_list.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace tenon::models {

// Every architecture, one line each.
#define TENON_ARCHITECTURES(X) \
  X(kGpt2)                     \
  X(kLlama)                    \
  X(kMistral)                  \
  X(kQwen2)                    \
  X(kSam)

#define TENON_ARCHITECTURE(name) extern const Architecture name;
TENON_ARCHITECTURES(TENON_ARCHITECTURE)
#undef TENON_ARCHITECTURE

std::span<const Architecture> architectures() {
#define TENON_ARCHITECTURE(name) name,
  static const Architecture list[] = {TENON_ARCHITECTURES(TENON_ARCHITECTURE)};
#undef TENON_ARCHITECTURE
  return list;
}

namespace {

std::vector<std::string> class_names(const data::Json& config) {
  std::vector<std::string> names;
  const data::Json* classes = config.find("architectures");
  if (!classes || classes->is_null()) return names;
  for (const data::Json& name : classes->as_array("$.architectures"))
    names.push_back(name.as_string("$.architectures"));
  return names;
}

// Config keys that the nearest architecture does not know: what differs, as far as a config tells.
std::vector<std::string> unknown_keys(const data::Json& config, const Architecture& nearest) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : config.as_object("$")) {
    bool known = std::find(nearest.known_config_keys.begin(), nearest.known_config_keys.end(),
                           key) != nearest.known_config_keys.end();
    if (!known) keys.push_back(key);
  }
  return keys;
}

size_t shared_keys(const data::Json& config, const Architecture& architecture) {
  return std::count_if(architecture.known_config_keys.begin(), architecture.known_config_keys.end(),
                       [&](std::string_view key) { return config.find(key) != nullptr; });
}

}  // namespace

const Architecture* architecture_named(std::string_view name) {
  for (const Architecture& architecture : architectures()) {
    if (architecture.name == name) return &architecture;
  }
  return nullptr;
}

const Architecture* recognise_weights(const WeightSource& weights) {
  for (const Architecture& architecture : architectures()) {
    if (architecture.recognises && architecture.recognises(weights)) return &architecture;
  }
  return nullptr;
}

const Architecture& find_architecture(const data::Json& config) {
  std::vector<std::string> names = class_names(config);
  std::string type = config.get_string("model_type", "");
  for (const Architecture& architecture : architectures()) {
    for (std::string_view candidate : architecture.hf_classes) {
      if (std::find(names.begin(), names.end(), candidate) != names.end()) return architecture;
    }
  }
  if (names.empty()) {
    for (const Architecture& architecture : architectures()) {
      if (type == architecture.name) return architecture;
    }
  }
  const Architecture* nearest = &architectures()[0];
  std::vector<std::string> known;
  for (const Architecture& architecture : architectures()) {
    known.emplace_back(architecture.hf_classes[0]);
    if (shared_keys(config, architecture) > shared_keys(config, *nearest)) nearest = &architecture;
  }
  std::vector<std::string> differing = unknown_keys(config, *nearest);
  std::string got = names.empty() ? (type.empty() ? "no `architectures` and no `model_type`"
                                                  : "model_type " + type)
                                  : join(names, ", ");
  std::string advice = "the nearest is " + std::string(nearest->name);
  advice += differing.empty() ? "; its config fields are the same"
                              : "; fields it does not have: " + join(differing, ", ");
  throw Error(ErrorCode::Unsupported, "unknown architecture")
      .at("config.json")
      .got(got)
      .accepted(join(known, ", "))
      .fix(advice);
}

}  // namespace tenon::models
