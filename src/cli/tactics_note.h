#pragma once

#include "cli/console.h"
#include "data/json.h"
#include "runtime/session.h"

namespace tenon::cli {

// Measured choices that did not fit are listed: what runs is right all the same.
void note_tactics(const runtime::Session& session, Console& console);
// {"origin", "known", "skipped"}: where they stand, how many, and what did not fit.
data::Json tactics_json(const runtime::Session& session);

}  // namespace tenon::cli
