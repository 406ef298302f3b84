#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bad_input.h"
#include "plan/plan_format.h"

namespace tenon::bad_inputs {

// A plan file taken apart, to be put together again with faults whose digests are right: what an
// attacker, not a bad disk, would write.
class PlanForge {
 public:
  // The test plan.
  PlanForge();

  // Replaces the first `from` in the text of a section; the section must contain it.
  PlanForge& replace(const std::string& section, const std::string& from, const std::string& to);
  PlanForge& set(const std::string& section, const std::string& bytes);
  PlanForge& add_before_evidence(const std::string& name, const std::string& bytes, bool optional);
  PlanForge& remove(const std::string& section);
  PlanForge& version(uint16_t major, uint16_t minor);

  // The file's bytes; `header` may be changed before it is encoded.
  std::string bytes() const;
  plan::FileHeader header() const;
  std::string with_header(const plan::FileHeader& header) const;

 private:
  struct Part {
    std::string name, bytes;
    bool optional = false;
  };
  Part& part(const std::string& name);
  std::vector<Part> parts_;
  uint16_t major_ = plan::kFormatMajor, minor_ = plan::kFormatMinor;
};

// The bytes of a good plan.
std::string good_plan();

// The good plan with one byte of its header or table changed, and the header's digest made right.
std::string with_header_byte(size_t at, char value);

Case plan_case(const std::string& row, const std::string& name, Expect expect,
               const std::string& bytes, const std::string& message);

}  // namespace tenon::bad_inputs
