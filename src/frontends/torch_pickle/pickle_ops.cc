#include "frontends/torch_pickle/pickle_ops.h"

#include <string_view>

namespace tenon::frontends {
namespace {

struct OpName {
  PickleOp op;
  std::string_view name;
};
constexpr OpName kOpNames[] = {
    {kOpMark, "MARK"},
    {kOpStop, "STOP"},
    {kOpPop, "POP"},
    {kOpPopMark, "POP_MARK"},
    {kOpDup, "DUP"},
    {kOpFloat, "FLOAT"},
    {kOpInt, "INT"},
    {kOpBinInt, "BININT"},
    {kOpBinInt1, "BININT1"},
    {kOpLong, "LONG"},
    {kOpBinInt2, "BININT2"},
    {kOpNone, "NONE"},
    {kOpPersid, "PERSID"},
    {kOpBinPersid, "BINPERSID"},
    {kOpReduce, "REDUCE"},
    {kOpString, "STRING"},
    {kOpBinString, "BINSTRING"},
    {kOpShortBinString, "SHORT_BINSTRING"},
    {kOpUnicode, "UNICODE"},
    {kOpBinUnicode, "BINUNICODE"},
    {kOpAppend, "APPEND"},
    {kOpBuild, "BUILD"},
    {kOpGlobal, "GLOBAL"},
    {kOpDict, "DICT"},
    {kOpEmptyDict, "EMPTY_DICT"},
    {kOpAppends, "APPENDS"},
    {kOpGet, "GET"},
    {kOpBinGet, "BINGET"},
    {kOpInst, "INST"},
    {kOpLongBinGet, "LONG_BINGET"},
    {kOpList, "LIST"},
    {kOpEmptyList, "EMPTY_LIST"},
    {kOpObj, "OBJ"},
    {kOpPut, "PUT"},
    {kOpBinPut, "BINPUT"},
    {kOpLongBinPut, "LONG_BINPUT"},
    {kOpSetItem, "SETITEM"},
    {kOpTuple, "TUPLE"},
    {kOpEmptyTuple, "EMPTY_TUPLE"},
    {kOpSetItems, "SETITEMS"},
    {kOpBinFloat, "BINFLOAT"},
    {kOpBinBytes, "BINBYTES"},
    {kOpShortBinBytes, "SHORT_BINBYTES"},
    {kOpProto, "PROTO"},
    {kOpNewObj, "NEWOBJ"},
    {kOpExt1, "EXT1"},
    {kOpExt2, "EXT2"},
    {kOpExt4, "EXT4"},
    {kOpTuple1, "TUPLE1"},
    {kOpTuple2, "TUPLE2"},
    {kOpTuple3, "TUPLE3"},
    {kOpNewTrue, "NEWTRUE"},
    {kOpNewFalse, "NEWFALSE"},
    {kOpLong1, "LONG1"},
    {kOpLong4, "LONG4"},
    {kOpShortBinUnicode, "SHORT_BINUNICODE"},
    {kOpBinUnicode8, "BINUNICODE8"},
    {kOpBinBytes8, "BINBYTES8"},
    {kOpEmptySet, "EMPTY_SET"},
    {kOpAddItems, "ADDITEMS"},
    {kOpFrozenSet, "FROZENSET"},
    {kOpNewObjEx, "NEWOBJ_EX"},
    {kOpStackGlobal, "STACK_GLOBAL"},
    {kOpMemoize, "MEMOIZE"},
    {kOpFrame, "FRAME"},
    {kOpByteArray8, "BYTEARRAY8"},
    {kOpNextBuffer, "NEXT_BUFFER"},
    {kOpReadonlyBuffer, "READONLY_BUFFER"},
};

}  // namespace

std::string pickle_op_name(uint8_t op) {
  for (const OpName& entry : kOpNames) {
    if (entry.op == op) return std::string(entry.name);
  }
  return "opcode " + std::to_string(op);
}

}  // namespace tenon::frontends
