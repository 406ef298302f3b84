#include "compiler/import_model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "frontends/checkpoint.h"
#include "frontends/delta_weights.h"
#include "frontends/safetensors/model_folder.h"
#include "ops/op_list.h"
#include "text/chat_template.h"

namespace tenon::compiler {
namespace {

std::string last_component(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// "sam_vit_b.pth" -> "sam_vit_b"
std::string stem(const std::string& name) {
  size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

void check_tokenizer_fits(ImportedModel& imported) {
  int64_t largest = imported.tokenizer->largest_id(),
          vocabulary = imported.model.language.vocabulary;
  if (largest >= vocabulary) {
    imported.notes.push_back("the tokenizer has ids up to " + std::to_string(largest) +
                             ", the model only " + std::to_string(vocabulary) +
                             " rows: such tokens are refused in prompts");
  }
}

// Weights that nothing reads: another model may hide behind a name that is known.
void note_unused(const nn::Ledger& ledger, std::vector<std::string>& notes) {
  constexpr size_t kShown = 4;
  size_t count = ledger.count(nn::WeightState::Unused), shown = 0;
  if (count == 0) return;
  std::string note = count == 1 ? "an unused tensor:" : std::to_string(count) + " unused tensors:";
  for (const nn::LedgerEntry& entry : ledger.entries) {
    if (entry.state != nn::WeightState::Unused || ++shown > kShown) continue;
    note += (shown > 1 ? ", " : " ") + escape_for_message(entry.name);
  }
  notes.push_back(note + (count > kShown ? ", ..." : ""));
}

// What make() returns; its errors say in which folder. Models know the names of files only.
template <class Make>
decltype(auto) naming(const std::string& folder, Make make) {
  try {
    return make();
  } catch (Error& error) {
    error.within(folder);
    throw;
  }
}

// A plan keeps what its folder has: it can be used for anything but a chat.
void note_unusable(const text::ChatTemplates& templates, std::vector<std::string>& notes) {
  for (const std::string& name : templates.names()) {
    try {
      text::ChatTemplate::parse(*templates.find(name));
    } catch (const Error& error) {
      notes.push_back("the chat template " + escape_for_message(name) + " cannot be used (" +
                      error.what() + "): tenon chat wants a --chat-template");
    }
  }
}

// Shapes show most of what must agree; these fields change the result and no shape.
frontends::Checkpoint add_delta(const std::string& path, const frontends::Checkpoint& delta,
                                const data::Json& config, const std::string& base) {
  frontends::ModelFolder folder = frontends::read_model_folder(base);
  Problems problems;
  for (std::string_view field : {"model_type", "num_attention_heads", "num_key_value_heads"}) {
    const data::Json* mine = config.find(field);
    const data::Json* theirs = folder.config.find(field);
    if (!mine || !theirs || *mine == *theirs) continue;
    problems.add(Error(ErrorCode::BadInput, "the base is another model than the delta's")
                     .at(base)
                     .at(field)
                     .got(theirs->dump())
                     .accepted(mine->dump()));
  }
  problems.throw_if_any();
  frontends::Checkpoint opened = frontends::open_checkpoint(base);
  return naming(path, [&] { return frontends::apply_delta(opened, delta); });
}

}  // namespace

ImportedModel import_model(const std::string& path, const std::string& base) {
  ImportedModel imported;
  frontends::ModelFolder folder;
  frontends::Checkpoint checkpoint;
  const models::Architecture* found = nullptr;
  if (frontends::is_lone_file(path)) {
    // Published without a config (Segment Anything): the weights' names must tell.
    checkpoint = frontends::open_checkpoint(path);
    found = models::recognise_weights(*checkpoint.weights);
  }
  if (found) {
    imported.path = path;
    imported.name = stem(last_component(path));
  } else {
    folder = frontends::read_model_folder(path);
    imported.path = folder.path;
    imported.name = last_component(folder.path);
    imported.config = std::move(folder.config);
    imported.generation = std::move(folder.generation);
    // The architecture is settled before weights are opened: its error is the more helpful one.
    found = &naming(imported.path,
                    [&]() -> decltype(auto) { return models::find_architecture(imported.config); });
    checkpoint = frontends::open_checkpoint(path);
  }
  const models::Architecture& architecture = *found;
  if (!base.empty()) checkpoint = add_delta(imported.path, checkpoint, imported.config, base);
  for (const auto& file : checkpoint.files) {
    imported.files.push_back(
        {last_component(file->path()), file->bytes(), to_hex(file->header_digest())});
  }
  imported.weights = checkpoint.weights;
  imported.model = naming(imported.path, [&] {
    return architecture.build(
        {imported.config, imported.generation, *imported.weights, ops::builtin_catalogue()});
  });
  for (const ir::Graph& stage : imported.model.stages) ir::verify(stage);
  imported.notes = std::move(folder.notes);
  imported.notes.insert(imported.notes.end(), checkpoint.notes.begin(), checkpoint.notes.end());
  imported.notes.insert(imported.notes.end(), imported.model.notes.begin(),
                        imported.model.notes.end());
  note_unused(imported.model.ledger, imported.notes);
  if (imported.model.staged) return imported;
  if (text::Tokenizer::is_in_folder(imported.path)) {
    imported.tokenizer = text::Tokenizer::from_folder(imported.path);
    check_tokenizer_fits(imported);
  } else {
    imported.notes.push_back("the folder has no tokenizer: the plan takes token ids only");
  }
  text::ChatTemplates templates = text::read_chat_templates(imported.path);
  note_unusable(templates, imported.notes);
  imported.chat_template = templates.to_text();
  return imported;
}

}  // namespace tenon::compiler
