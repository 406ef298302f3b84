#include "frontends/torch_pickle/pickle_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/limits.h"
#include "frontends/torch_pickle/state_dict.h"
#include "frontends/torch_pickle/torch_objects.h"
#include "frontends/torch_pickle/torch_test_files.h"

namespace tenon::frontends {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A pickle over an archive with one storage "0" of 24 bytes, record 5.
struct Loaded {
  explicit Loaded(std::string pickle)
      : text(std::move(pickle)), store(text), objects(store, [](std::string_view key) {
          return key == "0" ? std::optional<StorageRecord>({5, 24}) : std::nullopt;
        }) {
    result = run_pickle(text, store, objects);
  }
  std::string text;
  PickleStore store;
  TorchObjects objects;
  PickleResult result;
};

std::string message_of(const std::string& pickle) {
  try {
    Loaded loaded(pickle);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

// The text behind PROTO 2 and before STOP.
std::string p2(const std::string& body) {
  return "\x80\x02" + body + ".";
}

TEST(PickleMachine, BuildsPlainValues) {
  Loaded loaded(p2("(X\x01\0\0\0aK\x05M\x01\x02J\xff\xff\xff\xffN\x88\x8a\x02\x00\x80t"s));
  std::span<const PickleValue> items = loaded.store.items(loaded.result.root);
  ASSERT_EQ(items.size(), 7u);
  EXPECT_EQ(loaded.store.text(items[0]), "a");
  EXPECT_EQ(items[1].number, 5);
  EXPECT_EQ(items[2].number, 513);
  EXPECT_EQ(items[3].number, -1);
  EXPECT_EQ(items[4].kind, PickleKind::None);
  EXPECT_EQ(items[5].kind, PickleKind::Bool);
  EXPECT_EQ(items[6].number, -32768);
}

TEST(PickleMachine, ReadsTheLinesOfOldProtocols) {
  Loaded loaded("(I17\nL-3L\nI01\nF0.5\nVabc\np0\ng0\nt.");
  std::span<const PickleValue> items = loaded.store.items(loaded.result.root);
  ASSERT_EQ(items.size(), 6u);
  EXPECT_EQ(items[0].number, 17);
  EXPECT_EQ(items[1].number, -3);
  EXPECT_EQ(items[2].kind, PickleKind::Bool);
  EXPECT_EQ(std::bit_cast<double>(items[3].number), 0.5);
  EXPECT_EQ(loaded.store.text(items[5]), "abc");
}

TEST(PickleMachine, KeepsDictsAndMemo) {
  Loaded loaded(p2("}q\x00(X\x01\0\0\0aq\x01K\x01X\x01\0\0\0bh\x01u"s));
  std::span<const PickleEntry> entries = loaded.store.entries(loaded.result.root);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(loaded.store.text(entries[1].second), "a");
}

TEST(PickleMachine, ATensorIsAWindowOnItsStorage) {
  PickleForge forge;
  forge.tensor("FloatStorage", "0", 6, 1, {2, 2}, {3, 1});
  Loaded loaded(p2(forge.str()));
  ASSERT_EQ(loaded.result.root.kind, PickleKind::Tensor);
  const TorchTensor& tensor = loaded.objects.tensor(loaded.result.root);
  EXPECT_EQ(tensor.offset, 1);
  EXPECT_EQ(tensor.extents, (Extents{2, 2}));
  EXPECT_EQ(tensor.strides, (Extents{3, 1}));
  EXPECT_EQ(loaded.objects.storages()[tensor.storage].record, 5u);
}

TEST(PickleMachine, ErrorsNameByteAndOpcode) {
  EXPECT_THAT(message_of(p2("cos\nsystem\n")), HasSubstr("byte 2, GLOBAL: the file names"));
  EXPECT_THAT(message_of(p2("cos\nsystem\n")), HasSubstr("got os.system"));
  EXPECT_THAT(message_of(p2("N0(o")), HasSubstr("byte 5, OBJ: opcode that no"));
  EXPECT_THAT(message_of(p2("\xff")), HasSubstr("opcode 255"));
  EXPECT_THAT(message_of("\x80\x02N"), HasSubstr("byte 3: truncated"));
}

TEST(PickleMachine, NothingIsCalledBeyondTheList) {
  EXPECT_THAT(message_of(p2("ctorch\nTensor\n)R")), HasSubstr("makes nothing"));
  EXPECT_THAT(message_of(p2("K\x01)R")), HasSubstr("call of what is no function"));
  EXPECT_THAT(message_of(p2("ccollections\nOrderedDict\nK\x01R")), HasSubstr("accepted a tuple"));
  EXPECT_THAT(message_of(p2("}}b")), HasSubstr("state for what has none"));
}

TEST(PickleMachine, LimitsBoundMemory) {
  std::string deep = p2(std::string(100, ')') + std::string(99, '\x86'));
  EXPECT_THAT(message_of(deep), HasSubstr("nested too deep"));
  EXPECT_THAT(message_of(p2("]q\0h\0a"s)), HasSubstr("hold themselves"));
  std::string many = p2(std::string(static_cast<size_t>(kLimits.pickle_values) / 4 + 1, ']'));
  EXPECT_THAT(message_of(many), HasSubstr("too many values"));
  EXPECT_EQ(message_of(p2("Nr\xff\xff\xff\xff")), "accepted");
}

std::vector<std::string> names_in(const std::string& pickle) {
  Loaded loaded(pickle);
  std::vector<std::string> names;
  for (const auto& entry : find_state_dict(loaded.store, loaded.result.root).tensors)
    names.push_back(entry.name);
  return names;
}

std::string tensor() {
  return PickleForge().tensor("FloatStorage", "0", 6, 0, {6}, {1}).str();
}
std::string key(const std::string& text) {
  return PickleForge().text(text).str();
}

TEST(StateDict, TakesTheWeightsOfATrainingRun) {
  std::string weights = "}" + key("w") + tensor() + "s";
  std::string run = "}" + key("optimizer") + weights + "s" + key("model") + weights + "s" +
                    key("epoch") + "K\x03s";
  EXPECT_THAT(names_in(p2(run)), ElementsAre("w"));
  Loaded loaded(p2(run));
  EXPECT_THAT(find_state_dict(loaded.store, loaded.result.root).notes,
              ElementsAre("other tensors of the file are not read: optimizer",
                          "the weights are those under 'model'"));
}

TEST(StateDict, JoinsNestedDictsAndDropsACommonPrefix) {
  std::string nested = "}" + key("a") + "}" + key("b") + tensor() + "ss" + key("c") + "](" +
                       tensor() + tensor() + "es";
  EXPECT_THAT(names_in(p2(nested)), ElementsAre("a.b", "c.0", "c.1"));
  std::string parallel = "}" + key("module.a") + tensor() + "s" + key("module.b") + tensor() + "s";
  EXPECT_THAT(names_in(p2(parallel)), ElementsAre("a", "b"));
  std::string compiled =
      "}" + key("_orig_mod.module.a") + tensor() + "s" + key("_orig_mod.module.b") + tensor() + "s";
  EXPECT_THAT(names_in(p2(compiled)), ElementsAre("a", "b"));
  std::string mixed = "}" + key("_orig_mod.a") + tensor() + "s" + key("b") + tensor() + "s";
  EXPECT_THAT(names_in(p2(mixed)), ElementsAre("_orig_mod.a", "b"));
}

TEST(StateDict, RefusesWhatHoldsNoWeights) {
  EXPECT_THROW(names_in(p2("}")), Error);
  EXPECT_THROW(names_in(p2("K\x01")), Error);
  EXPECT_THROW(names_in(p2("}" + key("a") + tensor() + "s" + key("a") + tensor() + "s")), Error);
  // A bomb: each dict holds the one before it twice.
  std::string bomb = "}" + key("x") + tensor() + "s";
  for (char i = 0; i < 40; ++i) {
    std::string memo(1, i);
    bomb = bomb + "q" + memo + "0}" + key("a") + "h" + memo + "s" + key("b") + "h" + memo + "s";
  }
  EXPECT_THROW(names_in(p2(bomb)), Error);
}

}  // namespace
}  // namespace tenon::frontends
