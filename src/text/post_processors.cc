#include "text/post_processors.h"

#include "text/pieces.h"

namespace tenon::text {
namespace {

constexpr std::string_view kAccepted =
    "Sequence, ByteLevel, TemplateProcessing, BertProcessing or RobertaProcessing";

// Its trim_offsets concerns offsets only, which Tenon does not report.
class ByteLevelPostProcessor : public PostProcessor {
 public:
  void apply(std::vector<int32_t>&) const override {}
};

class SequencePostProcessor : public PostProcessor {
 public:
  explicit SequencePostProcessor(const std::vector<Component>& list) {
    for (const Component& item : list) {
      if (auto part = make_post_processor(item)) parts_.push_back(std::move(part));
    }
  }
  void apply(std::vector<int32_t>& ids) const override {
    size_t most = growth_limit(ids.size());
    for (const auto& part : parts_) {
      part->apply(ids);
      check_growth(ids.size(), most);
    }
  }

 private:
  std::vector<std::unique_ptr<const PostProcessor>> parts_;
};

class TemplatePostProcessor : public PostProcessor {
 public:
  explicit TemplatePostProcessor(const Component& component) {
    Component single = component.member("single");
    for (size_t i = 0; i < single.size(); ++i) add_piece(component, single.item(i));
  }

  // ids before and after the text, both for a processor that frames it: [CLS] text [SEP].
  TemplatePostProcessor(int32_t before, int32_t after)
      : parts_{{false, {before}}, {true, {}}, {false, {after}}} {}

  void apply(std::vector<int32_t>& ids) const override {
    size_t count = 0;
    for (const Part& part : parts_) count += part.is_text ? ids.size() : part.ids.size();
    check_growth(count, growth_limit(ids.size()));
    std::vector<int32_t> out;
    out.reserve(count);
    for (const Part& part : parts_) {
      const std::vector<int32_t>& from = part.is_text ? ids : part.ids;
      out.insert(out.end(), from.begin(), from.end());
    }
    ids = std::move(out);
  }

 private:
  struct Part {
    bool is_text;
    std::vector<int32_t> ids;
  };

  void add_piece(const Component& component, const Component& piece) {
    if (piece.has("Sequence")) {
      Component sequence = piece.member("Sequence");
      if (sequence.text("id") != "A") {
        throw Error(ErrorCode::BadInput, "a template for one text names another")
            .at(sequence.place + ".id")
            .got(sequence.text("id"))
            .accepted("A");
      }
      return parts_.push_back({true, {}});
    }
    Component ids = component.member("special_tokens")
                        .member(piece.member("SpecialToken").text("id"))
                        .member("ids");
    Part part{false, {}};
    for (size_t i = 0; i < ids.size(); ++i) part.ids.push_back(ids.item(i).token_id());
    parts_.push_back(std::move(part));
  }

  std::vector<Part> parts_;
};

// ["[SEP]", 102]
int32_t framing_id(const Component& pair) {
  return (pair.size() == 2 ? pair.item(1) : pair).token_id();
}

}  // namespace

std::unique_ptr<const PostProcessor> make_post_processor(const Component& component) {
  if (component.json.is_null()) return nullptr;
  std::string type = component.type();
  if (type == "Sequence")
    return std::make_unique<SequencePostProcessor>(component.sequence("processors"));
  if (type == "ByteLevel") return std::make_unique<ByteLevelPostProcessor>();
  if (type == "TemplateProcessing") return std::make_unique<TemplatePostProcessor>(component);
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    return std::make_unique<TemplatePostProcessor>(framing_id(component.member("cls")),
                                                   framing_id(component.member("sep")));
  }
  throw unsupported_component(component, "post-processor", kAccepted);
}

}  // namespace tenon::text
