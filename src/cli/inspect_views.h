#pragma once

#include "cli/folder_survey.h"
#include "cli/view.h"
#include "compiler/import_model.h"
#include "device/device.h"
#include "plan/plan_file.h"

namespace tenon::cli {

// Of a plan file.
// `device`: what the proof note asks about.
View plan_summary(const plan::PlanFile& file, const device::Device& device);
View plan_layers(const plan::PlanFile& file);
View plan_sections(const plan::PlanFile& file);
View plan_sources(const plan::PlanFile& file);  // its part of a ledger: what each weight came from

// Of a model folder.
View folder_summary(const FolderSurvey& survey);
View folder_layers(const compiler::ImportedModel& model);
View folder_graph(const compiler::ImportedModel& model);
View folder_ledger(const compiler::ImportedModel& model);

// The ops a graph may use, each with its formula.
View op_catalogue();

View text_view(std::string name, std::string text);

}  // namespace tenon::cli
