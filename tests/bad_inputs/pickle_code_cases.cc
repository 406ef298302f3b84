// P01 to P03: pickles that would run something. Each name is one that published exploits and the
// advisories about scanners use; the files are made here.
#include "torch_bytes.h"

namespace tenon::bad_inputs {
namespace {

struct Name {
  const char* module;
  const char* name;
};
constexpr Name kNames[] = {
    {"os", "system"},
    {"os", "popen"},
    {"os", "execv"},
    {"os", "remove"},
    {"posix", "system"},
    {"nt", "system"},
    {"builtins", "eval"},
    {"builtins", "exec"},
    {"builtins", "compile"},
    {"builtins", "getattr"},
    {"builtins", "__import__"},
    {"builtins", "open"},
    {"builtins", "apply"},
    {"builtins", "print"},
    {"__builtin__", "eval"},
    {"__builtin__", "execfile"},
    {"__builtin__", "getattr"},
    {"subprocess", "Popen"},
    {"subprocess", "check_output"},
    {"subprocess", "run"},
    {"subprocess", "call"},
    {"subprocess", "getoutput"},
    {"commands", "getoutput"},
    {"socket", "socket"},
    {"socket", "create_connection"},
    {"http.client", "HTTPSConnection"},
    {"httplib", "HTTPSConnection"},
    {"urllib.request", "urlopen"},
    {"requests.api", "get"},
    {"aiohttp.client", "ClientSession"},
    {"webbrowser", "open"},
    {"smtplib", "SMTP"},
    {"ftplib", "FTP"},
    {"runpy", "run_path"},
    {"runpy", "_run_code"},
    {"importlib", "import_module"},
    {"imp", "load_source"},
    {"zipimport", "zipimporter"},
    {"pkgutil", "resolve_name"},
    {"pydoc", "locate"},
    {"pydoc", "pipepager"},
    {"pip", "main"},
    {"pip._internal.main", "main"},
    {"ensurepip", "_run_pip"},
    {"pty", "spawn"},
    {"pdb", "Pdb"},
    {"bdb", "Bdb"},
    {"code", "InteractiveInterpreter"},
    {"codeop", "compile_command"},
    {"timeit", "timeit"},
    {"trace", "Trace"},
    {"profile", "run"},
    {"cProfile", "runctx"},
    {"doctest", "debug_script"},
    {"unittest.mock", "_importer"},
    {"asyncio.unix_events", "_UnixSubprocessTransport"},
    {"multiprocessing.util", "spawnv_passfds"},
    {"concurrent.futures", "ProcessPoolExecutor"},
    {"ctypes", "CDLL"},
    {"_ctypes", "dlopen"},
    {"cffi", "FFI"},
    {"shutil", "rmtree"},
    {"shutil", "copyfile"},
    {"tempfile", "mkstemp"},
    {"pathlib", "Path"},
    {"io", "open"},
    {"_io", "FileIO"},
    {"distutils.file_util", "write_file"},
    {"sys", "exit"},
    {"signal", "raise_signal"},
    {"operator", "attrgetter"},
    {"operator", "itemgetter"},
    {"operator", "methodcaller"},
    {"functools", "partial"},
    {"functools", "reduce"},
    {"itertools", "starmap"},
    {"types", "CodeType"},
    {"types", "FunctionType"},
    {"marshal", "loads"},
    {"pickle", "loads"},
    {"_pickle", "loads"},
    {"cloudpickle.cloudpickle", "_make_function"},
    {"dill._dill", "_create_function"},
    {"joblib.numpy_pickle", "load"},
    {"pandas", "read_pickle"},
    {"numpy.testing._private.utils", "runstring"},
    {"numpy.f2py.crackfortran", "getlincoef"},
    {"numpy.f2py.crackfortran", "_eval_length"},
    {"numpy", "load"},
    {"torch", "load"},
    {"torch.serialization", "load"},
    {"torch.storage", "_load_from_bytes"},
    {"torch.hub", "load"},
    {"torch.hub", "load_state_dict_from_url"},
    {"torch.jit", "load"},
    {"torch.jit.unsupported_tensor_ops", "execWrapper"},
    {"torch.utils.collect_env", "run"},
    {"torch.utils.bottleneck.__main__", "run_cprofile"},
    {"torch.utils._config_module", "ConfigModule"},
    {"torch.utils.data.datapipes.utils.decoder", "basichandlers"},
    {"torch.fx.experimental.symbolic_shapes", "ShapeEnv"},
    {"torch._dynamo.guards", "GuardBuilder"},
    {"torch._inductor.codecache", "compile_file"},
    {"torch.distributed.rpc", "rpc_sync"},
    {"torch.nn.modules.linear", "Linear"},
    {"transformers.utils.hub", "cached_file"},
    {"tensorflow.python.platform.gfile", "GFile"},
    {"keras.models", "load_model"},
    {"lib2to3.pgen2.grammar", "Grammar.loadGrammar"},
    {"idlelib.pyshell", "ModifiedInterpreter.runcode"},
    {"idlelib.autocomplete", "AutoComplete.fetch_completions"},
    {"logging.config", "dictConfig"},
    {"linecache", "getlines"},
    {"sqlite3", "connect"},
    {"venv", "create"},
    {"__main__", "Backdoor"},
    {"copyreg", "_reconstructor"},
    {"copyreg", "add_extension"},
    {"collections", "OrderedDict.__reduce__"},
    {"torch._utils", "_rebuild_tensor_v2.__globals__"},
};

std::string camel(const std::string& text) {
  std::string made;
  bool upper = true;
  for (char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c))) {
      upper = true;
      continue;
    }
    made += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    upper = false;
  }
  return made;
}

std::string call_of(const Name& name, const std::string& argument) {
  return PickleForge().global(name.module, name.name).raw("(").text(argument).raw("tR").str();
}

void add_names(TorchFiles& files) {  // P01, P02
  for (size_t i = 0; i < std::size(kNames); ++i) {
    const Name& name = kNames[i];
    std::string dotted = std::string(name.module) + "." + name.name;
    std::string call = call_of(name, "touch pwned");
    // The ways a call can hide: alone, behind good weights, as a value, in the state of an object,
    // behind opcodes that fail, in a newer protocol.
    std::string body = call;
    if (i % 6 == 1) body = good_dict() + "0" + call;
    if (i % 6 == 2) body = PickleForge().raw("}").text("w").raw(call + "s").str();
    if (i % 6 == 3) body = PickleForge().hooks().raw("}").text("_metadata").raw(call + "sb").str();
    if (i % 6 == 4) body = call + "0000";
    if (i % 6 == 5) {
      body = "\x8c" + number_bytes(std::string(name.module).size(), 1) + name.module + "\x8c" +
             number_bytes(std::string(name.name).size(), 1) + name.name + "\x93(t\x81";
    }
    files.pickle("P01", camel(dotted) + std::to_string(i), Expect::Refuse, body, "got " + dotted);
  }
}

void add_disguises(TorchFiles& files) {  // P01, P02
  auto stack_global = [](const std::string& module, const std::string& name) {
    return PickleForge().text(module).text(name).raw("\x93").str();
  };
  files.pickle("P02", "NameWithNewline", Expect::Refuse, stack_global("os\nsystem", "x"),
               "got os\\nsystem.x");
  files.pickle("P02", "DottedName", Expect::Refuse, stack_global("torch", "hub.load"),
               "got torch.hub.load");
  files.pickle("P02", "NulInName", Expect::Refuse,
               stack_global("torch", std::string("FloatStorage\0", 13)), "names a function");
  files.pickle("P02", "EscapeInName", Expect::Refuse, stack_global("\x1b[2J", "x"), "\\x1b[2J.x");
  files.pickle("P02", "EmptyNames", Expect::Refuse, stack_global("", ""), "names a function");
  files.pickle("P02", "NoText", Expect::Refuse, "K\x01K\x02\x93", "name of a global");
  std::string call = call_of({"os", "system"}, "touch pwned");
  files.add("P01", "BarePickle", Expect::Refuse, "\x80\x02" + call + ".", "a bare pickle",
            ErrorCode::Unsupported);
  files.add("P01", "BarePickleOfProtocolZero", Expect::Refuse, "cos\nsystem\n(S'touch'\ntR.",
            "safetensors");
  files.add(
      "P01", "SecondPickleInTheArchive", Expect::Refuse,
      [call] {
        auto records = torch_records("\x80\x02" + good_dict() + ".", {{"0", std::string(24, 'x')}});
        records.push_back({"archive/evil.pkl", "\x80\x02" + call + "."});
        return zip_bytes(records);
      },
      "record that torch.save does not write; got archive/evil.pkl");
  files.add(
      "P01", "PickleAsStorage", Expect::Accept,
      [call] {
        std::string data = "\x80\x02" + call + ".";
        data.resize(24);
        return torch_bytes("\x80\x02" + good_dict() + ".", {{"0", data}});
      },
      "");
  files.add(
      "P01", "TwoPickles", Expect::Refuse,
      [call] {
        auto records = torch_records("\x80\x02" + good_dict() + ".", {{"0", std::string(24, 'x')}});
        records.push_back({"other/data.pkl", "\x80\x02" + call + "."});
        return zip_bytes(records);
      },
      "two pickles");
}

void add_opcodes(TorchFiles& files) {  // P03
  auto refused = [&](const std::string& name, const std::string& body, const std::string& message) {
    files.pickle("P03", name, Expect::Refuse, body, message);
  };
  refused("Inst", "(ios\nsystem\n", "byte 3, INST: opcode that no PyTorch checkpoint needs");
  refused("Obj",
          "(N"
          "o",
          "byte 4, OBJ: opcode");
  refused("Ext1", "\x82\x01", "byte 2, EXT1: opcode");
  refused("Ext2", "\x83\x01\x02", "byte 2, EXT2: opcode");
  refused("Ext4", "\x84\x01\x02\x03\x04", "byte 2, EXT4: opcode");
  refused("NewObjEx", "N)}\x92", "byte 5, NEWOBJ_EX: opcode");
  refused("NewObjOfNothing", "K\x01)\x81", "NEWOBJ: call of what is no function");
  refused("Persid", "P0\n", "PERSID: opcode");
  refused("String", "S'a'\n", "STRING: opcode");
  refused("NextBuffer", "\x97", "NEXT_BUFFER: opcode");
  refused("NoOpcode", "\xfe", "opcode 254: opcode");
  refused("BuildADict", "}}b", "BUILD: state for what has none; got a dict");
  refused("BuildANumber", "K\x01}b", "BUILD: state for what has none");
  refused("BuildATensor", PickleForge().tensor("FloatStorage", "0", 6, 0, {6}, {1}).raw("}b").str(),
          "BUILD: state for what has none; got a tensor");
  refused("BuildAGlobal", "ctorch\nSize\n}b", "BUILD: state for what has none");
  refused("BuildWithText", PickleForge().hooks().text("x").raw("b").str(),
          "BUILD: state of the wrong kind");
  refused("ReduceAText", PickleForge().text("os.system").raw(")R").str(), "REDUCE: call of what");
  refused("ReduceAType", "ctorch\nFloatStorage\n)R", "torch.FloatStorage: a type is called");
  refused("PersistentText", PickleForge().text("storage").raw("Q").str(), "BINPERSID: ");
  refused("PersistentModule",
          PickleForge()
              .raw("(")
              .text("module")
              .global("torch", "FloatStorage")
              .text("0")
              .text("cpu")
              .number(1)
              .raw("tQ")
              .str(),
          "reference to what is no storage; got module");
  files.add("P03", "ProtocolOfTheFuture", Expect::Refuse, TorchFiles::archive_of("\x80\x06N."),
            "PROTO: pickle protocol of the future", ErrorCode::Unsupported);
}

}  // namespace

std::vector<Case> pickle_code_cases() {
  TorchFiles files;
  add_names(files);
  add_disguises(files);
  add_opcodes(files);
  return files.take();
}

}  // namespace tenon::bad_inputs
