#pragma once

#include "text/jinja/value.h"

namespace tenon::text {

// Python's "..." % values, with %s %r %d %i %f %x %% and flags, width and precision.
Value percent_format(RenderState& state, const Value& format, const Value& values);
// Python's "...".format(...), with {} {0} {name} {{ }}. Format specifications are refused.
Value brace_format(Call& call);
// strftime with Python's codes. Others are refused.
std::string format_time(RenderState& state, std::string_view format);

}  // namespace tenon::text
