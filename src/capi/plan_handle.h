#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "pipelines/llm/model_info.h"
#include "plan/plan_file.h"
#include "tenon/tenon.h"

// A plan as the C ABI hands it out. Immutable but for the tokenizer, which is made at first use.
struct tenon_plan {
  std::shared_ptr<const tenon::plan::PlanFile> file;
  mutable std::once_flag once;
  mutable std::shared_ptr<const tenon::text::Tokenizer> tokenizer;

  const tenon::text::Tokenizer& need_tokenizer() const {
    std::call_once(once, [this] { tokenizer = tenon::llm::make_tokenizer(file->plan()); });
    if (tokenizer) return *tokenizer;
    throw tenon::Error(tenon::ErrorCode::WrongPlan, "the plan carries no tokenizer")
        .at(file->path())
        .fix("give token ids");
  }
};

namespace tenon::capi {

inline text::EncodeOptions encode_options(uint32_t flags) {
  constexpr uint32_t kKnown = TENON_TEXT_ADD_SPECIAL | TENON_TEXT_PARSE_SPECIAL;
  if ((flags & ~kKnown) != 0) {
    throw Error(ErrorCode::Unsupported, "unknown flag").at("flags").got(std::to_string(flags));
  }
  return {.add_special_tokens = (flags & TENON_TEXT_ADD_SPECIAL) != 0,
          .parse_special = (flags & TENON_TEXT_PARSE_SPECIAL) != 0};
}

}  // namespace tenon::capi
