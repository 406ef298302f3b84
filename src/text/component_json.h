#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/json.h"

namespace tenon::text {

inline constexpr int64_t kMostTokenId = 1 << 24;

// A part of a tokenizer.json with its place in it ("normalizer.normalizers[1]"), for errors.
struct Component {
  const data::Json& json;
  std::string place;
  int depth = 0;  // of lists around it

  Component member(std::string_view key) const;  // throws where absent
  Component item(size_t index) const;            // of an array
  // The components that a Sequence holds in `key`. Refuses lists no real tokenizer has.
  std::vector<Component> sequence(std::string_view key) const;
  size_t size() const;                           // of an array
  bool has(std::string_view key) const;          // present and not null
  std::string text(std::string_view key) const;  // throws where absent or not a string
  std::string text(std::string_view key, std::string_view otherwise) const;
  bool flag(std::string_view key, bool otherwise) const;
  int64_t number(std::string_view key, int64_t lowest, int64_t highest) const;
  // The one character that a member holds.
  int32_t character(std::string_view key) const;
  int32_t token_id() const;
  std::string type() const { return text("type"); }
};

// The refusal of a component that Tenon does not have, naming those it has.
Error unsupported_component(const Component& component, std::string_view kind,
                            std::string_view accepted);

// Collects problems up to a number a person would read.
class ProblemList {
 public:
  void add(Error error);
  // Runs `part`; what it throws is added, so that one message can name the problems of every part.
  template <class F>
  void collect(F&& part) {
    try {
      part();
    } catch (Error& error) {
      add(std::move(error));
    }
  }
  bool empty() const { return problems_.empty(); }
  void move_to(ProblemList& other);
  void throw_if_any();

 private:
  static constexpr size_t kMost = 16;
  Problems problems_;
  size_t left_out_ = 0;
};

}  // namespace tenon::text
