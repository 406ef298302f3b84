#include "text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/limits.h"

namespace tenon::text {
namespace {

bool check_entry(const VocabularyEntry& entry, const std::string& place, ProblemList& problems) {
  if (entry.id < 0 || entry.id > kMostTokenId) {
    problems.add(Error(ErrorCode::BadInput, "token id out of range")
                     .at(place)
                     .at(entry.text)
                     .got(std::to_string(entry.id))
                     .accepted("0 to " + std::to_string(kMostTokenId)));
    return false;
  }
  if (entry.text.size() > kMostTokenBytes) {
    problems.add(Error(ErrorCode::BadInput, "token text is too long")
                     .at(place)
                     .at("id " + std::to_string(entry.id))
                     .got(std::to_string(entry.text.size()) + " bytes")
                     .accepted("at most " + std::to_string(kMostTokenBytes)));
    return false;
  }
  return true;
}

}  // namespace

Vocabulary::Vocabulary(std::vector<VocabularyEntry> entries, const std::string& place,
                       ProblemList& problems) {
  if (static_cast<int64_t>(entries.size()) > kLimits.vocabulary) {
    problems.add(Error(ErrorCode::BadInput, "vocabulary is too large")
                     .at(place)
                     .got(std::to_string(entries.size()))
                     .accepted("at most " + std::to_string(kLimits.vocabulary)));
    entries.clear();
  }
  std::erase_if(entries, [&](const auto& entry) { return !check_entry(entry, place, problems); });
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.id < b.id; });
  table_.assign(std::bit_ceil(entries.size() * 2 + 2), kNone);
  ends_.push_back(0);
  for (const VocabularyEntry& entry : entries) {
    size_t bucket = bucket_of(entry.text);
    bool same_id = !ids_.empty() && ids_.back() == entry.id;
    if (same_id || table_[bucket] != kNone) {
      problems.add(
          Error(ErrorCode::BadInput, same_id ? "two tokens have one id" : "token appears twice")
              .at(place)
              .at(entry.text)
              .got("id " + std::to_string(entry.id)));
      continue;
    }
    table_[bucket] = size();
    ids_.push_back(static_cast<int32_t>(entry.id));
    texts_ += entry.text;
    ends_.push_back(static_cast<uint32_t>(texts_.size()));
  }
}

size_t Vocabulary::bucket_of(std::string_view text) const {
  size_t mask = table_.size() - 1;
  size_t bucket = std::hash<std::string_view>{}(text)&mask;
  while (table_[bucket] != kNone && text_of(table_[bucket]) != text) bucket = (bucket + 1) & mask;
  return bucket;
}

int32_t Vocabulary::find(std::string_view text) const {
  return table_.empty() ? kNone : table_[bucket_of(text)];
}

int32_t Vocabulary::slot_of_id(int32_t id) const {
  // Without gaps the slot is the id.
  if (id >= 0 && id < size() && ids_[id] == id) return id;
  auto found = std::lower_bound(ids_.begin(), ids_.end(), id);
  return found != ids_.end() && *found == id ? static_cast<int32_t>(found - ids_.begin()) : kNone;
}

Vocabulary read_vocabulary(const Component& vocab, ProblemList& problems) {
  std::vector<VocabularyEntry> entries;
  const auto& members = vocab.json.as_object(vocab.place);
  entries.reserve(members.size());
  for (const auto& [name, value] : members) {
    const auto& text = name;  // clang 14 captures no structured binding
    const auto& id = value;
    problems.collect([&] { entries.push_back({text, id.as_int(vocab.place + "." + text)}); });
  }
  return Vocabulary(std::move(entries), vocab.place, problems);
}

data::Json vocabulary_json(const Vocabulary& vocabulary) {
  data::Json::Object json;
  json.reserve(vocabulary.size());
  for (int32_t slot = 0; slot < vocabulary.size(); ++slot) {
    json.emplace_back(std::string(vocabulary.text_of(slot)), vocabulary.id_of(slot));
  }
  return json;
}

}  // namespace tenon::text
