#include "pipelines/llm/model_info.h"

#include "base/error.h"
#include "base/limits.h"

namespace tenon::llm {
namespace {

class Reader {
 public:
  Reader(const data::Json& json, Problems& problems) : json_(json), problems_(problems) {}

  int64_t whole(std::string_view name, int64_t most) {
    return checked(name, most, [&] { return json_.at(name, "plan.model").as_int(name); });
  }
  int64_t whole_or(std::string_view name, int64_t most, int64_t otherwise) {
    return checked(name, most, [&] { return json_.get_int(name, otherwise); });
  }

 private:
  template <class Read>
  int64_t checked(std::string_view name, int64_t most, Read read) {
    try {
      int64_t value = read();
      if (value >= 1 && value <= most) return value;
      problems_.add(Error(ErrorCode::BadInput, "number is out of range")
                        .at("plan.model")
                        .at(name)
                        .got(std::to_string(value))
                        .accepted("1 to " + std::to_string(most)));
    } catch (Error& error) {
      problems_.add(error);
    }
    return 1;
  }

  const data::Json& json_;
  Problems& problems_;
};

void check_id(Problems& problems, std::string_view name, int64_t id, int64_t vocabulary) {
  if (id >= 0 && id < vocabulary) return;
  problems.add(Error(ErrorCode::BadInput, "token id is outside the vocabulary")
                   .at(name)
                   .got(std::to_string(id))
                   .accepted("0 to " + std::to_string(vocabulary - 1)));
}

}  // namespace

ModelInfo read_model_info(const plan::Plan& plan) {
  if (plan.pipeline != "llm") {
    throw Error(ErrorCode::WrongPlan, "the plan is no language model")
        .at("pipeline")
        .got(plan.pipeline)
        .accepted("llm");
  }
  Problems problems;
  Reader reader(plan.model, problems);
  ModelInfo info;
  info.vocabulary = reader.whole("vocabulary", kLimits.vocabulary);
  info.hidden = reader.whole("hidden", kLimits.hidden);
  info.layers = reader.whole("layers", kLimits.layers);
  info.heads = reader.whole("heads", kLimits.heads);
  info.kv_heads = reader.whole("kv_heads", kLimits.heads);
  info.head_dim = reader.whole("head_dim", kLimits.hidden);
  info.context = reader.whole("context", kLimits.positions);
  info.max_batch_size = reader.whole("max_batch_size", kLimits.positions);
  info.max_seq_len = reader.whole_or("max_seq_len", kLimits.positions, info.context);
  info.bos = plan.model.get_int("bos", -1);
  if (info.bos >= 0) check_id(problems, "plan.model.bos", info.bos, info.vocabulary);
  if (const data::Json* eos = plan.generation.find("eos")) {
    for (const data::Json& item : eos->as_array("plan.generation.eos")) {
      int64_t id = item.as_int("plan.generation.eos");
      check_id(problems, "plan.generation.eos", id, info.vocabulary);
      info.eos.push_back(static_cast<int32_t>(id));
    }
  }
  problems.throw_if_any();
  return info;
}

std::shared_ptr<const text::Tokenizer> make_tokenizer(const plan::Plan& plan) {
  if (plan.tokenizer.empty()) return nullptr;
  try {
    return text::Tokenizer::from_serialised(plan.tokenizer);
  } catch (Error& error) {
    error.within("plan.tokenizer");
    throw;
  }
}

}  // namespace tenon::llm
