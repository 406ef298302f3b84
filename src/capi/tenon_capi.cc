// The C ABI: version, errors, plans, tokens. llm_capi.cc has the language model.
#include "tenon/tenon.h"

#include <algorithm>
#include <span>
#include <string>

#include "capi/guard.h"
#include "capi/plan_handle.h"

using tenon::Error;
using tenon::ErrorCode;
using tenon::capi::guarded;
using tenon::capi::make_copy;
using tenon::capi::need;
using tenon::capi::need_array;
using tenon::data::Json;

namespace {

static_assert(TENON_INTERNAL == static_cast<int>(ErrorCode::Internal));
static_assert(TENON_USAGE == static_cast<int>(ErrorCode::Usage));
static_assert(TENON_BAD_INPUT == static_cast<int>(ErrorCode::BadInput));
static_assert(TENON_UNSUPPORTED == static_cast<int>(ErrorCode::Unsupported));
static_assert(TENON_PROOF_FAILED == static_cast<int>(ErrorCode::ProofFailed));
static_assert(TENON_OUT_OF_MEMORY == static_cast<int>(ErrorCode::OutOfMemory));
static_assert(TENON_WRONG_PLAN == static_cast<int>(ErrorCode::WrongPlan));
static_assert(TENON_IO == static_cast<int>(ErrorCode::Io));
static_assert(TENON_DEVICE_FAULT == static_cast<int>(ErrorCode::DeviceFault));
static_assert(TENON_INTERRUPTED == static_cast<int>(ErrorCode::Interrupted));
static_assert(TENON_TERMINATED == static_cast<int>(ErrorCode::Terminated));

Json values_json(const tenon::plan::Stage& stage, const std::vector<int32_t>& indices) {
  Json list = Json::array();
  for (int32_t index : indices) {
    const tenon::plan::ValueInfo& value = stage.values[index];
    Json item = Json::object();
    item.set("name", value.names.empty() ? "" : value.names[0]);
    item.set("type", tenon::to_string(value.type));
    list.push_back(std::move(item));
  }
  return list;
}

Json stage_json(const tenon::plan::Stage& stage) {
  Json json = Json::object();
  json.set("name", stage.name).set("ranks", stage.ranks);
  json.set("steps", static_cast<int64_t>(stage.steps.size()));
  json.set("inputs", values_json(stage, stage.inputs));
  json.set("outputs", values_json(stage, stage.outputs));
  json.set("states", values_json(stage, stage.states));
  return json;
}

Json info_json(const tenon::plan::PlanFile& file) {
  const tenon::plan::Plan& plan = file.plan();
  Json json = Json::object();
  json.set("architecture", plan.architecture).set("name", plan.name);
  json.set("pipeline", plan.pipeline).set("identity", tenon::to_hex(file.identity()));
  json.set("model", plan.model).set("generation", plan.generation);
  json.set("precision", plan.precision).set("budgets", plan.budgets);
  json.set("provenance", plan.provenance).set("evidence", file.evidence().entries);
  json.set("has_tokenizer", !plan.tokenizer.empty());
  json.set("has_chat_template", !plan.chat_template.empty());
  int64_t bytes = 0;
  for (const tenon::plan::Constant& constant : plan.constants) bytes += constant.bytes;
  json.set("weights", static_cast<int64_t>(plan.constants.size())).set("weight_bytes", bytes);
  Json stages = Json::array();
  for (const tenon::plan::Stage& stage : plan.stages) stages.push_back(stage_json(stage));
  json.set("stages", std::move(stages));
  return json;
}

const char* text_of(const tenon_error* error, const std::string& (Error::*part)() const) {
  return error ? (error->error.*part)().c_str() : "";
}

}  // namespace

int32_t tenon_abi_version(void) {
  return TENON_ABI_VERSION;
}
const char* tenon_version(void) {
  return TENON_VERSION;
}

tenon_code tenon_error_code(const tenon_error* error) {
  return error ? static_cast<tenon_code>(error->error.code()) : TENON_OK;
}
const char* tenon_error_message(const tenon_error* error) {
  return error ? error->error.what() : "";
}
const char* tenon_error_where(const tenon_error* error) {
  return text_of(error, &Error::place);
}
const char* tenon_error_problem(const tenon_error* error) {
  return text_of(error, &Error::problem);
}
const char* tenon_error_got(const tenon_error* error) {
  return text_of(error, &Error::got);
}
const char* tenon_error_accepted(const tenon_error* error) {
  return text_of(error, &Error::accepted);
}
const char* tenon_error_fix(const tenon_error* error) {
  return text_of(error, &Error::fix);
}
void tenon_error_free(tenon_error* error) {
  delete error;
}

const char* tenon_code_name(tenon_code code) {
  // The names are literals, so they end with a zero byte.
  return code == TENON_OK ? "ok" : tenon::error_code_name(static_cast<ErrorCode>(code)).data();
}

void tenon_free(void* memory) {
  std::free(memory);
}

tenon_code tenon_plan_open(const char* path, tenon_plan** plan, tenon_error** error) {
  return guarded(error, [&] {
    tenon_plan*& out = need(plan, "plan");
    out = nullptr;
    auto opened = std::make_unique<tenon_plan>();
    opened->file = tenon::plan::PlanFile::open(&need(path, "path"));
    out = opened.release();
  });
}

void tenon_plan_close(tenon_plan* plan) {
  delete plan;
}

tenon_code tenon_plan_info_json(const tenon_plan* plan, char** json, tenon_error** error) {
  return guarded(error, [&] {
    char*& out = need(json, "json");
    out = nullptr;
    std::string text = info_json(*need(plan, "plan").file).dump(2);
    out = make_copy<char>(text, 1);
  });
}

tenon_code tenon_tokenize(const tenon_plan* plan, const char* text, size_t text_bytes,
                          uint32_t flags, int32_t** ids, size_t* id_count, tenon_error** error) {
  return guarded(error, [&] {
    int32_t*& out = need(ids, "ids");
    out = nullptr;
    size_t& count = need(id_count, "id_count");
    count = 0;
    auto bytes = need_array(text, text_bytes, "text");
    std::vector<int32_t> encoded =
        need(plan, "plan")
            .need_tokenizer()
            .encode({bytes.data(), bytes.size()}, tenon::capi::encode_options(flags));
    out = make_copy<int32_t>(encoded);
    count = encoded.size();
  });
}

tenon_code tenon_detokenize(const tenon_plan* plan, const int32_t* ids, size_t id_count,
                            char** text, size_t* text_bytes, tenon_error** error) {
  return guarded(error, [&] {
    char*& out = need(text, "text");
    out = nullptr;
    auto given = need_array(ids, id_count, "ids");
    std::string decoded = need(plan, "plan").need_tokenizer().decode(given);
    out = make_copy<char>(decoded, 1);
    if (text_bytes) *text_bytes = decoded.size();
  });
}
