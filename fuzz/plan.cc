// A plan file; or, since digests hide what is behind them, the texts of its sections in a file
// whose digests are right.
#include "fuzz_input.h"
#include "plan/plan_file.h"
#include "plan_forge.h"

namespace {

using tenon::bad_inputs::PlanForge;

// 'S', then texts of sections, each after a byte that names one.
std::string forge(std::string_view input) {
  constexpr std::string_view kSections[] = {"plan", "stages", "evidence", "tokenizer"};
  static const PlanForge kGood;
  PlanForge plan = kGood;
  while (!input.empty()) {
    size_t section = static_cast<uint8_t>(input[0]) % std::size(kSections);
    size_t end = std::min(input.find('\0', 1), input.size());
    plan.set(std::string(kSections[section]), std::string(input.substr(1, end - 1)));
    input.remove_prefix(std::min(end + 1, input.size()));
  }
  return plan.bytes();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tenon;
  std::string bytes(fuzz::text_of(data, size));
  if (bytes.starts_with("S")) bytes = forge(std::string_view(bytes).substr(1));
  fuzz::InputFile input(bytes.data(), bytes.size());
  fuzz::refuse_or_accept([&] {
    auto plan = plan::PlanFile::open(input.path());
    for (size_t i = 0; i < plan->plan().constants.size(); ++i) {
      fuzz::use(plan->constant(i).byte_span());
    }
    plan->verify_all_weights();
  });
  return 0;
}
