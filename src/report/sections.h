#pragma once

#include "report/plan_report.h"

namespace tenon::report {

// The parts of a plan's report; each appends its blocks, or one line that says what is missing.
void add_model(const ReportInputs& inputs, Page& page);
void add_environment(const ReportInputs& inputs, Page& page);
void add_accuracy(const ReportInputs& inputs, Page& page);
// What `tenon run --json` said about pictures; nothing where there is none.
void add_pictures(const ReportInputs& inputs, Page& page);
void add_speed(const ReportInputs& inputs, Page& page);
void add_profile(const ReportInputs& inputs, Page& page);
void add_evidence(const ReportInputs& inputs, Page& page);

// The documents of a verb, in the order they were given.
std::vector<const data::Json*> documents_of(const ReportInputs& inputs, std::string_view verb);
// "3 of 100", "12.5 %", "1.5 ms".
std::string percent(double share);
std::string milliseconds(double seconds);

}  // namespace tenon::report
