// P04 to P07, P10 to P14, P23, P24: pickles whose values do not fit together, or cost too much.
#include "base/limits.h"
#include "torch_bytes.h"

namespace tenon::bad_inputs {
namespace {

constexpr Expect R = Expect::Refuse, A = Expect::Accept;
using namespace std::string_literals;

std::string tensor(int64_t offset, const std::vector<int64_t>& size,
                   const std::vector<int64_t>& stride) {
  return PickleForge()
      .raw("}")
      .text("w")
      .tensor("FloatStorage", "0", 6, offset, size, stride)
      .raw("s")
      .str();
}

void add_containers(TorchFiles& files) {  // P04, P05
  files.pickle("P04", "SetItemOnList", R, "]K\x01K\x02s",
               "SETITEM: entries are set in what holds none; got a list");
  files.pickle("P04", "SetItemOnTensor", R,
               PickleForge().tensor("FloatStorage", "0", 6, 0, {6}, {1}).raw("K\x01K\x02s").str(),
               "SETITEM: entries are set in what holds none; got a tensor");
  files.pickle("P04", "SetItemsOnText", R, PickleForge().text("x").raw("(NNu").str(), "SETITEMS: ");
  files.pickle("P04", "SetItemsOdd", R, "}(K\x01u", "SETITEMS: a key without a value");
  files.pickle("P04", "AppendOnDict", R, "}Na", "APPEND: items are added to what holds none");
  files.pickle("P04", "AppendsOnTuple", R, ")(Ne", "APPENDS: items are added");
  files.pickle("P04", "AddItemsOnNone", R, "N(N\x90", "ADDITEMS: items are added");
  files.pickle("P04", "UnhashableKey", R, "}]Ns", "SETITEM: key of a dict; got a list");
  files.pickle("P04", "DictOfOne", R, "(Nd", "DICT: a key without a value");

  auto call = [&](const std::string& name, const std::string& function,
                  const std::string& arguments, const std::string& message) {
    files.pickle("P05", name, R,
                 PickleForge().global("torch._utils", function).raw(arguments).str(), message);
  };
  std::string storage = PickleForge().storage("FloatStorage", "0", 6).str();
  std::string hooks = PickleForge().hooks().str();
  call("NoArguments", "_rebuild_tensor_v2", ")R",
       "_rebuild_tensor_v2: wrong number of arguments; got 0, accepted 6 to 7");
  call("TooMany", "_rebuild_tensor_v2", "(NNNNNNNNtR", "wrong number of arguments; got 8");
  call("NoStorage", "_rebuild_tensor_v2", "(NK\x00))\x89"s + hooks + "tR",
       "storage: argument of the wrong kind; got None");
  call("OffsetText", "_rebuild_tensor_v2",
       "(" + storage + PickleForge().text("0").str() + "))\x89" + hooks + "tR",
       "offset: argument of the wrong kind; got text");
  call("SizeIsAList", "_rebuild_tensor_v2", "(" + storage + "K\x00])\x89"s + hooks + "tR",
       "size: argument of the wrong kind; got a list");
  call("SizeOfFloats", "_rebuild_tensor_v2",
       "(" + storage + "K\x00G\0\0\0\0\0\0\0\0\x85)\x89"s + hooks + "tR",
       "size: argument of the wrong kind; got a float");
  call("ParameterOfNumber", "_rebuild_parameter", "(K\x01\x88" + hooks + "tR",
       "data: argument of the wrong kind");
  call("V3WithoutType", "_rebuild_tensor_v3", "(" + storage + "K\x00))\x89"s + hooks + "K\x01tR",
       "dtype: argument of the wrong kind");
  files.pickle("P05", "SizeCalledWithNumber", R, "ctorch\nSize\n(K\x01tR",
               "torch.Size: size: argument");
  files.pickle("P05", "OrderedDictOfNumbers", R,
               "ccollections\nOrderedDict\n(](K\x01K\x02"
               "etR",
               "entry is no pair");
}

void add_tensors(TorchFiles& files) {  // P06, P07
  auto beyond = [&](const std::string& name, int64_t offset, std::vector<int64_t> size,
                    std::vector<int64_t> stride) {
    files.pickle("P06", name, R, tensor(offset, size, stride), "tensor reaches beyond its storage");
  };
  beyond("SizePastTheEnd", 0, {7}, {1});
  beyond("OffsetPastTheEnd", 7, {1}, {1});
  beyond("StridePastTheEnd", 0, {2, 2}, {5, 1});
  beyond("EmptyPastTheEnd", 7, {0}, {1});
  beyond("HugeStride", 0, {2}, {int64_t{1} << 40});
  beyond("HugeOffset", int64_t{1} << 62, {1}, {1});
  auto overflow = [&](const std::string& name, int64_t offset, std::vector<int64_t> size,
                      std::vector<int64_t> stride) {
    files.pickle("P06", name, R, tensor(offset, size, stride), "overflows");
  };
  constexpr int64_t kMost = INT64_MAX;
  overflow("SizeOverflows", 0, {1ll << 32, 1ll << 32}, {1, 1});
  overflow("SizeOverflowsThenZero", 0, {1ll << 32, 1ll << 32, 0}, {1, 1, 1});
  overflow("BytesOverflow", 0, {1ll << 31, 1ll << 31}, {0, 0});
  overflow("StrideOverflows", 0, {3}, {kMost});
  overflow("SumOverflows", 0, {2, 2}, {kMost - 1, kMost - 1});
  overflow("OffsetOverflows", kMost, {2}, {1});

  files.pickle("P07", "NegativeSize", R, tensor(0, {-1}, {1}), "size: negative number");
  files.pickle("P07", "NegativeStride", R, tensor(5, {6}, {-1}), "stride: negative number");
  files.pickle("P07", "NegativeOffset", R, tensor(-1, {1}, {1}), "offset: negative number");
  files.pickle("P07", "OneStrideForTwoSizes", R, tensor(0, {2, 2}, {1}), "different lengths");
  files.pickle("P07", "Rank17", R,
               tensor(0, std::vector<int64_t>(17, 1), std::vector<int64_t>(17, 1)),
               "too many axes");
  files.pickle("P07", "Rank9", R, tensor(0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)),
               "tensor rank", ErrorCode::Unsupported);
  files.pickle("P07", "Broadcast", A, tensor(2, {4, 3}, {0, 0}), "");
  files.pickle("P07", "Overlapping", A, tensor(0, {4, 3}, {1, 1}), "");
  files.pickle("P07", "BroadcastBomb", R, tensor(0, {1ll << 40}, {0}), "far larger than the file");
}

void add_opcodes(TorchFiles& files) {  // P10 to P12
  files.pickle("P10", "GetOfUnsetMemo", R, "h\x07", "BINGET: memo entry was never set; got 7");
  files.pickle("P10", "LongGetOfUnsetMemo", R, "j\xff\xff\xff\xff",
               "LONG_BINGET: memo entry was never set");
  files.pickle("P10", "WildMemoIndex", A, good_dict() + "r\xff\xff\xff\xff", "");
  files.add(
      "P10", "TenMillionMemoEntries", R,
      [] {
        std::string pickle = "\x80\x02N";
        for (uint64_t i = 0; i < 10'000'000; ++i) pickle += "r" + number_bytes(i, 4);
        return TorchFiles::archive_of(pickle + ".");
      },
      "LONG_BINPUT: the pickle makes too many values");
  files.add(
      "P10", "TenMillionSparseMemoEntries", R,
      [] {
        std::string pickle = "\x80\x02N";
        for (uint64_t i = 0; i < 10'000'000; ++i) pickle += "r" + number_bytes(2 * i + 1, 4);
        return TorchFiles::archive_of(pickle + ".");
      },
      "LONG_BINPUT: the pickle makes too many values");
  for (const char* op : {"]", "}", "(", "N", ")", "\x8f"}) {
    static int number = 0;
    files.add(
        "P10", "FortyMillionOpcodes" + std::to_string(++number), R,
        [op] { return TorchFiles::archive_of("\x80\x02" + std::string(40'000'000, op[0]) + "."); },
        "the pickle makes too many values");
  }
  files.add(
      "P10", "PickleOverTheLimit", R,
      [] {
        std::string pickle = "\x80\x02";
        pickle.resize(static_cast<size_t>(kLimits.pickle_bytes) + 1, 'N');
        return TorchFiles::archive_of(pickle);
      },
      "pickle is too long");
  files.add(
      "P10", "PushAndPop", R,
      [] {
        std::string pickle = "\x80\x02";
        while (pickle.size() < 60'000'000) pickle += "N0";
        return TorchFiles::archive_of(pickle + ".");
      },
      "STOP: stack underflow");

  files.pickle("P11", "StackUnderflow", R, "0", "POP: stack underflow");
  files.pickle("P11", "TupleUnderflow", R, "N\x87", "TUPLE3: stack underflow");
  files.pickle("P11", "ReduceUnderflow", R, ")R", "REDUCE: stack underflow");
  files.pickle("P11", "BelowTheMark", R,
               "N(0"
               "0",
               "STOP: stack underflow");
  files.pickle("P11", "PopBelowTheMark", R, "N(\x85", "TUPLE1: stack underflow");
  files.pickle("P11", "NoMark", R, "Nt", "TUPLE: no mark on the stack");
  files.pickle("P11", "MarkLeftOver", R, good_dict() + "(K\x01", "left over");
  files.pickle("P11", "ValueLeftOver", R, "N" + good_dict(), "left over");
  files.add("P11", "NoStop", R, TorchFiles::archive_of("\x80\x02" + good_dict()), "truncated");
  files.add("P11", "Empty", R, TorchFiles::archive_of(""), "truncated");
  files.add("P11", "BytesAfterStop", Expect::Warn,
            TorchFiles::archive_of("\x80\x02" + good_dict() + ".cos\nsystem\n"),
            "11 bytes follow the end of the pickle");

  files.pickle("P12", "UnicodeOf4GiB", R,
               "X\xff\xff\xff\xff"
               "a",
               "BINUNICODE: byte 7: truncated");
  files.pickle("P12", "Unicode8", R, "\x8d" + number_bytes(~0ull, 8),
               "BINUNICODE8: byte 11: truncated");
  files.pickle("P12", "Bytes8", R, "\x8e" + number_bytes(1ull << 63, 8),
               "BINBYTES8: byte 11: truncated");
  files.pickle("P12", "Long1Of255Bytes", R, "\x8a\xff" + std::string(255, '\1'),
               "LONG1: whole number is too long");
  files.pickle("P12", "Long4Of2GiB", R, "\x8b" + number_bytes(1u << 31, 4),
               "LONG4: whole number is too long");
  files.pickle("P12", "IntOfManyDigits", R, "I" + std::string(100'000, '9') + "\n",
               "INT: not a whole number");
  files.pickle("P12", "FloatOfText", R, "F1.5x\n", "FLOAT: not a number");
  files.pickle("P12", "LineWithoutEnd", R, "ctorch", "GLOBAL: byte 3: truncated: a line");
  files.pickle("P12", "FrameTooLong", R, "\x95" + number_bytes(~0ull, 8), "FRAME: frame is longer");
}

void add_nesting(TorchFiles& files) {  // P13
  files.add(
      "P13", "MillionTuples", R,
      [] { return TorchFiles::archive_of("\x80\x02N" + std::string(1'000'000, '\x85') + "."); },
      "nested too deep");
  files.add(
      "P13", "MillionListsInWeights", R,
      [] {
        std::string body = "\x80\x02}X\1\0\0\0x"s;
        for (int i = 0; i < 200'000; ++i) body += "]";
        return TorchFiles::archive_of(body + std::string(199'999, 'a') + "s.");
      },
      "nested too deep");
  files.pickle("P13", "ListHoldsItself", R, "]q\0h\0a"s, "hold themselves");
  files.pickle("P13", "DictHoldsItself", R, "}q\0X\1\0\0\0xh\0s"s, "hold themselves");
  files.pickle("P13", "TwoHoldEachOther", R, "]q\0]q\1h\0ah\0h\1a00"s, "hold themselves");
  std::string bomb = "]";
  for (char i = 0; i < 60; ++i) {
    std::string memo(1, i);
    bomb += "q" + memo + "0](h" + memo + "h" + memo + "e";
  }
  files.pickle("P13", "BillionLaughs", R, bomb, "nested too deep");
}

void add_protocols(TorchFiles& files) {  // P14
  std::string old =
      "}(V"
      "w\nctorch._utils\n_rebuild_tensor_v2\n(("
      "Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nI6\ntQI0\n(I6\nt("
      "I1\ntI00\nccollections\nOrderedDict\n)RtRu.";
  files.add("P14", "TextOpcodes", A, TorchFiles::archive_of(old), "");
  auto framed = [](char protocol) {
    std::string body =
        "}\x94\x8c\x01w\x94\x8c\x0ctorch._utils\x94\x8c\x12_rebuild_tensor_v2\x94\x93\x94("
        "(\x8c\x07storage\x94\x8c\x05torch\x94\x8c\x0c"
        "FloatStorage\x94\x93\x94\x8c\x01"
        "0\x94\x8c\x03"
        "cpu\x94K\x06t\x94QK\0K\x06\x85\x94K\1\x85\x94\x89"
        "\x8c\x0b"
        "collections\x94\x8c\x0bOrderedDict\x94\x93)R\x94t\x94R\x94s."s;
    return "\x80"s + protocol + "\x95" + number_bytes(body.size(), 8) + body;
  };
  files.add("P14", "Protocol4", A, TorchFiles::archive_of(framed(4)), "");
  files.add("P14", "Protocol5", A, TorchFiles::archive_of(framed(5)), "");
}

void add_kinds(TorchFiles& files) {  // P23, P24
  auto kind = [&](const std::string& name, const std::string& module, const std::string& function,
                  const std::string& message) {
    files.pickle("P23", name, R,
                 PickleForge().raw("}").text("w").global(module, function).raw(")Rs").str(),
                 message, ErrorCode::Unsupported);
  };
  kind("Sparse", "torch._utils", "_rebuild_sparse_tensor", "sparse tensors are not read");
  kind("Quantised", "torch._utils", "_rebuild_qtensor", "quantised tensors are not read");
  kind("Nested", "torch._utils", "_rebuild_nested_tensor", "nested tensors are not read");
  kind("Subclass", "torch._utils", "_rebuild_wrapper_subclass", "a class of their own");
  kind("NumpyObjects", "numpy.core.multiarray", "_reconstruct", "numpy arrays are not read");
  kind("NumpyObjects2", "numpy._core.multiarray", "_reconstruct", "numpy arrays are not read");
  kind("Complex", "torch", "ComplexFloatStorage", "complex numbers are not read");
  kind("Meta", "torch._utils", "_rebuild_meta_tensor_no_storage", "a tensor without data");

  std::string one = PickleForge().tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1}).str();
  std::string hooks = PickleForge().hooks().str();
  std::string parameter = PickleForge()
                              .global("torch._utils", "_rebuild_parameter")
                              .raw("(" + one + "\x88" + hooks + "tR")
                              .str();
  std::string ordered = PickleForge()
                            .hooks()
                            .raw("(")
                            .text("a")
                            .raw(parameter)
                            .text("b")
                            .raw(one)
                            .text("c")
                            .tensor("FloatStorage", "0", 6, 2, {}, {})
                            .raw("u}")
                            .text("_metadata")
                            .raw(hooks + "sb")
                            .str();
  files.pickle("P24", "ParametersViewsAndMetadata", A, ordered, "");
}

}  // namespace

std::vector<Case> pickle_value_cases() {
  TorchFiles files;
  add_containers(files);
  add_tensors(files);
  add_opcodes(files);
  add_nesting(files);
  add_protocols(files);
  add_kinds(files);
  return files.take();
}

}  // namespace tenon::bad_inputs
