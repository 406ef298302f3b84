#include "cli/tactics_note.h"

namespace tenon::cli {

void note_tactics(const runtime::Session& session, Console& console) {
  for (const std::string& line : session.tactics().skipped())
    console.note("note: tactic skipped: " + line);
}

data::Json tactics_json(const runtime::Session& session) {
  data::Json skipped = data::Json::array(), json = data::Json::object();
  for (const std::string& line : session.tactics().skipped()) skipped.push_back(line);
  json.set("origin", session.tactics_origin());
  json.set("known", static_cast<int64_t>(session.tactics().size()));
  json.set("skipped", std::move(skipped));
  return json;
}

}  // namespace tenon::cli
