#include "compiler/check_data.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "frontends/safetensors/safetensors_file.h"

namespace tenon::compiler {
namespace {

// Logits of all compared rows are held twice in f32: this bounds that memory.
constexpr int64_t kMostLogitBytes = 64ll << 20;
constexpr size_t kMostTokens = 1024;

constexpr const char* kPrompts[] = {
    "The quick brown fox jumps over the lazy dog, and the dog does not mind at all.",
    "In 1912 a ship left the harbour with 2,224 people on board. Four days later",
    "def add(a, b):\n    return a + b\n\nprint(add(2, 3))",
    "Once upon a time, in a small village by the river, there lived"};

void add_sequence(CheckData& data, std::vector<int32_t> ids, int64_t max_seq_len) {
  if (static_cast<int64_t>(ids.size()) > max_seq_len) ids.resize(max_seq_len);
  if (ids.empty()) return;
  data.ids.insert(data.ids.end(), ids.begin(), ids.end());
  data.seq_offsets.push_back(static_cast<int32_t>(data.ids.size()));
}

// Which rows are compared: all, or evenly spread ones where all would take too much memory.
void choose_rows(CheckData& data, int64_t vocabulary) {
  int64_t most = std::max<int64_t>(1, kMostLogitBytes / (vocabulary * 4));
  int64_t tokens = static_cast<int64_t>(data.ids.size()), count = std::min(tokens, most);
  for (int64_t i = 0; i < count; ++i)
    data.logit_rows.push_back(static_cast<int32_t>(i * tokens / count));
}

uint64_t next_random(uint64_t& state) {
  state += 0x9E3779B97F4A7C15ull;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

void check_ids(const std::vector<int32_t>& ids, int64_t vocabulary, std::string_view place) {
  for (int32_t id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    throw Error(ErrorCode::BadInput, "token id is outside the vocabulary")
        .at(place)
        .got(std::to_string(id))
        .accepted("0 to " + std::to_string(vocabulary - 1));
  }
}

std::vector<int32_t> ids_of_line(const std::string& line, const ImportedModel& model) {
  auto encode = [&](const std::string& text) {
    if (!model.tokenizer) {
      throw Error(ErrorCode::BadInput, "the model has no tokenizer")
          .fix("give \"ids\" instead of text");
    }
    return model.tokenizer->encode(text);
  };
  if (line.empty() || line[0] != '{') return encode(line);
  data::Json json = data::parse_json(line);
  if (const data::Json* ids = json.find("ids")) {
    std::vector<int32_t> list;
    for (const data::Json& id : ids->as_array("$.ids"))
      list.push_back(static_cast<int32_t>(id.as_int("$.ids")));
    return list;
  }
  for (const char* field : {"prompt", "article", "text"}) {
    if (const data::Json* text = json.find(field)) return encode(text->as_string(field));
  }
  throw Error(ErrorCode::BadInput, "line has none of \"ids\", \"prompt\", \"article\", \"text\"");
}

std::vector<int32_t> read_i32(const frontends::SafetensorsFile& file, const std::string& name) {
  const WeightInfo* info = file.find(name);
  if (!info || info->dtype != DType::I32 || info->extents.rank() != 1) {
    throw Error(ErrorCode::BadInput, "golden file lacks an i32 vector").at(file.path()).at(name);
  }
  TensorView view = file.view(name);
  return {view.as<int32_t>(), view.as<int32_t>() + view.count()};
}

void check_offsets(const CheckData& data, const std::string& path) {
  bool good = data.seq_offsets.size() >= 2 && data.seq_offsets.front() == 0 &&
              data.seq_offsets.back() == static_cast<int32_t>(data.ids.size());
  for (size_t i = 1; good && i < data.seq_offsets.size(); ++i)
    good = data.seq_offsets[i] > data.seq_offsets[i - 1];
  if (!good) throw Error(ErrorCode::BadInput, "seq_offsets do not cut ids into sequences").at(path);
}

}  // namespace

std::vector<int32_t> random_ids(size_t count, int64_t vocabulary, uint64_t seed) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>(next_random(seed) % vocabulary));
  return ids;
}

CheckData built_in_check_data(const ImportedModel& model, int64_t max_seq_len) {
  return built_in_check_data(model.tokenizer.get(), model.model.language.vocabulary, max_seq_len);
}

CheckData built_in_check_data(const text::Tokenizer* tokenizer, int64_t vocabulary,
                              int64_t max_seq_len) {
  CheckData data;
  data.origin = "built-in prompts";
  data.seq_offsets.push_back(0);
  if (tokenizer) {
    for (const char* prompt : kPrompts) {
      std::vector<int32_t> ids = tokenizer->encode(prompt);
      // A tokenizer may know more ids than the model has rows.
      std::erase_if(ids, [&](int32_t id) { return id >= vocabulary; });
      add_sequence(data, std::move(ids), max_seq_len);
    }
  }
  // Random ids reach rows of the embedding that sentences do not; one sequence is a single token.
  add_sequence(data, random_ids(33, vocabulary, 1), max_seq_len);
  add_sequence(data, random_ids(1, vocabulary, 2), max_seq_len);
  if (!tokenizer) add_sequence(data, random_ids(48, vocabulary, 3), max_seq_len);
  choose_rows(data, vocabulary);
  return data;
}

CheckData read_check_file(const std::string& path, const ImportedModel& model,
                          int64_t max_seq_len) {
  CheckData data;
  data.origin = path.substr(path.rfind('/') + 1);
  data.seq_offsets.push_back(0);
  std::string text = read_text_file(path, kLimits.prompt_bytes), line;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size() && data.ids.size() < kMostTokens;) {
    size_t end = std::min(text.find('\n', begin), text.size());
    line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.empty()) continue;
    std::string place = path + ": line " + std::to_string(number);
    try {
      std::vector<int32_t> ids = ids_of_line(line, model);
      check_ids(ids, model.model.language.vocabulary, "ids");
      add_sequence(data, std::move(ids), max_seq_len);
    } catch (Error& error) {
      error.within(place);
      throw;
    }
  }
  if (data.ids.empty()) throw Error(ErrorCode::BadInput, "check file has no prompt").at(path);
  choose_rows(data, model.model.language.vocabulary);
  return data;
}

std::string own_check_file(const std::string& folder) {
  std::string path = folder + "/tenon_check.txt";
  return file_exists(path) ? path : "";
}

CheckData read_golden_file(const std::string& path, const ImportedModel& model) {
  auto file = frontends::SafetensorsFile::open(path);
  CheckData data;
  data.origin = path.substr(path.rfind('/') + 1);
  data.ids = read_i32(*file, "ids");
  data.seq_offsets = read_i32(*file, "seq_offsets");
  check_offsets(data, path);
  int64_t vocabulary = model.model.language.vocabulary,
          tokens = static_cast<int64_t>(data.ids.size());
  check_ids(data.ids, vocabulary, path + ": ids");
  const WeightInfo* logits = file->find("logits");
  if (!logits || !(logits->extents == Extents{tokens, vocabulary}) || !is_float(logits->dtype)) {
    throw Error(ErrorCode::BadInput, "golden file lacks fitting logits")
        .at(path)
        .got(logits ? logits->extents.to_string() : "none")
        .accepted(Extents{tokens, vocabulary}.to_string());
  }
  choose_rows(data, vocabulary);
  TensorView all = file->view("logits");
  int64_t rows = static_cast<int64_t>(data.logit_rows.size());
  data.logits = Tensor::make(DType::F32, {rows, vocabulary});
  for (int64_t i = 0; i < rows; ++i) {
    copy_convert(all.slice(0, data.logit_rows[i], data.logit_rows[i] + 1),
                 data.logits->view().slice(0, i, i + 1));
  }
  for (const WeightInfo& info : file->weights()) {
    if (info.name.compare(0, 6, "layer/") != 0 || !is_float(info.dtype)) continue;
    data.layer_names.push_back(info.name.substr(6));
    data.layers.push_back(make_f32(file->view(info.name)));
  }
  return data;
}

}  // namespace tenon::compiler
