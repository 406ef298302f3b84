#include "frontends/torch_pickle/state_dict.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/limits.h"
#include "base/text.h"

namespace tenon::frontends {
namespace {

// Where training frameworks keep the weights, the preferred first.
constexpr std::string_view kWeightKeys[] = {
    "state_dict", "model_state_dict", "model",      "module",    "net",
    "network",    "params",           "weights",    "generator", "ema",
    "model_ema",  "ema_state_dict",   "params_ema", "student",   "teacher"};

bool is_dict(const PickleValue& value) {
  return value.kind == PickleKind::Dict || value.kind == PickleKind::OrderedDict;
}

class Finder {
 public:
  explicit Finder(const PickleStore& store) : store_(store) {}

  StateDict find(PickleValue root) {
    if (!is_dict(root)) {
      throw Error(ErrorCode::BadInput, "the file holds no dict of tensors")
          .got(pickle_kind_name(root.kind))
          .fix("save model.state_dict(), not the model");
    }
    std::string path;
    constexpr int kMostWrappers = 4;
    for (int level = 0; level < kMostWrappers; ++level) {
      std::optional<PickleEntry> inner = find_inner(root);
      if (!inner) break;
      std::string key(store_.text(inner->first));
      path += (path.empty() ? "" : ".") + key;
      note_others(root, key);
      root = inner->second;
    }
    if (!path.empty()) found_.notes.push_back("the weights are those under '" + path + "'");
    collect(root, "", 0);
    if (found_.tensors.empty()) {
      throw Error(ErrorCode::BadInput, "the file holds no tensors")
          .fix("save model.state_dict(), not the model");
    }
    drop_common_prefixes();
    check_names();
    return std::move(found_);
  }

 private:
  bool holds_tensors(const PickleValue& value) const {
    if (!is_dict(value)) return false;
    std::span<const PickleEntry> entries = store_.entries(value);
    return std::any_of(entries.begin(), entries.end(), [](const PickleEntry& entry) {
      return entry.second.kind == PickleKind::Tensor;
    });
  }
  // A dict of tensors, or of such dicts.
  bool leads_to_tensors(const PickleValue& value) const {
    if (!is_dict(value)) return false;
    if (holds_tensors(value)) return true;
    std::span<const PickleEntry> entries = store_.entries(value);
    return std::any_of(entries.begin(), entries.end(),
                       [&](const PickleEntry& entry) { return holds_tensors(entry.second); });
  }

  std::optional<PickleEntry> find_inner(const PickleValue& root) const {
    std::vector<PickleEntry> inner;
    for (const PickleEntry& entry : store_.entries(root)) {
      if (entry.first.kind == PickleKind::Text && leads_to_tensors(entry.second))
        inner.push_back(entry);
    }
    for (std::string_view key : kWeightKeys) {
      for (const PickleEntry& entry : inner) {
        if (store_.text(entry.first) == key) return entry;
      }
    }
    return std::nullopt;
  }

  void note_others(const PickleValue& root, const std::string& taken) {
    std::vector<std::string> others;
    for (const auto& [key, value] : store_.entries(root)) {
      if (key.kind != PickleKind::Text || !leads_to_tensors(value)) continue;
      std::string name(store_.text(key).substr(0, 64));
      if (name != taken && others.size() < 8) others.push_back(name);
    }
    if (!others.empty()) {
      found_.notes.push_back("other tensors of the file are not read: " + join(others, ", "));
    }
  }

  void collect(const PickleValue& value, const std::string& name, int depth) {
    if (value.kind == PickleKind::Tensor) return add(name, value);
    if (depth >= kLimits.pickle_depth) return;  // checked when the pickle ended
    if (is_dict(value)) {
      for (const auto& [key, item] : store_.entries(value)) visit(item, name, key_text(key), depth);
    } else if (value.kind == PickleKind::List || value.kind == PickleKind::Tuple) {
      size_t index = 0;
      for (const PickleValue& item : store_.items(value))
        visit(item, name, std::to_string(index++), depth);
    }
  }
  void visit(const PickleValue& item, const std::string& outer, std::string_view key, int depth) {
    bool container =
        is_dict(item) || item.kind == PickleKind::List || item.kind == PickleKind::Tuple;
    if (item.kind != PickleKind::Tensor && !container) return;
    // Shared containers can be reached in very many ways.
    if (++visited_ > kLimits.pickle_values) {
      throw Error(ErrorCode::BadInput, "containers are shared too often");
    }
    int64_t bytes = static_cast<int64_t>(outer.size() + key.size()) + 1;
    if (bytes > kLimits.tensor_name_bytes) {
      throw Error(ErrorCode::BadInput, "tensor name is too long")
          .got(std::to_string(bytes) + " bytes")
          .accepted("at most " + std::to_string(kLimits.tensor_name_bytes));
    }
    collect(item, outer.empty() ? std::string(key) : outer + "." + std::string(key), depth + 1);
  }
  std::string_view key_text(const PickleValue& key) {
    if (key.kind == PickleKind::Text) return store_.text(key);
    number_ = key.kind == PickleKind::Int ? std::to_string(key.number) : "?";
    return number_;
  }

  void add(const std::string& name, const PickleValue& tensor) {
    name_bytes_ += static_cast<int64_t>(name.size());
    if (static_cast<int64_t>(found_.tensors.size()) == kLimits.torch_tensors ||
        name_bytes_ > kLimits.torch_name_bytes) {
      throw Error(ErrorCode::BadInput, "too many tensors, or their names are too long together")
          .accepted("at most " + std::to_string(kLimits.torch_tensors) + " tensors and " +
                    std::to_string(kLimits.torch_name_bytes) + " bytes of names");
    }
    found_.tensors.push_back({name, tensor});
  }

  // torch.nn.DataParallel and torch.compile put these before every name, in either order.
  void drop_common_prefixes() {
    for (std::string_view prefix : {"module.", "_orig_mod.", "module."}) {
      bool common = std::ranges::all_of(found_.tensors, [&](const NamedPickleTensor& entry) {
        return entry.name.starts_with(prefix) && entry.name.size() > prefix.size();
      });
      if (!common) continue;
      for (NamedPickleTensor& entry : found_.tensors) entry.name.erase(0, prefix.size());
      found_.notes.push_back("'" + std::string(prefix) + "' before every name is dropped");
    }
  }

  void check_names() const {
    std::vector<std::string_view> names;
    for (const NamedPickleTensor& entry : found_.tensors) {
      bool good = !entry.name.empty() && entry.name.find('\0') == entry.name.npos &&
                  is_valid_utf8(entry.name);
      if (!good) {
        throw Error(ErrorCode::BadInput, "tensor name is empty, not UTF-8 or contains a NUL byte")
            .got(entry.name);
      }
      names.push_back(entry.name);
    }
    std::sort(names.begin(), names.end());
    auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) {
      throw Error(ErrorCode::BadInput, "tensor name appears twice").got(*twice);
    }
  }

  const PickleStore& store_;
  StateDict found_;
  std::string number_;
  int64_t name_bytes_ = 0, visited_ = 0;
};

}  // namespace

StateDict find_state_dict(const PickleStore& store, const PickleValue& root) {
  return Finder(store).find(root);
}

}  // namespace tenon::frontends
