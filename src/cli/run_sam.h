#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/console.h"
#include "pipelines/sam/everything.h"
#include "plan/plan_file.h"

namespace CLI {
class App;
}

namespace tenon::cli {

// The group of these options in --help.
inline constexpr const char* kPictureOptions = "Pictures (Segment Anything)";

struct SamOptions {
  device::DeviceId device;
  std::string image;
  std::vector<std::string> points, boxes;  // "x,y" or "x,y,0"; "x0,y0,x1,y1"
  bool multimask = false, everything = false, sketch = false;
  std::string mask_input;  // a file of logits
  std::string output, overlay, rle, logits;
  int64_t repeats = 1;
  sam::EverythingOptions settings;
};

void declare_sam(CLI::App& app, SamOptions& options);
// The verb `run` for a plan of the pipeline "sam".
void run_sam(std::shared_ptr<const plan::PlanFile> file, const SamOptions& options,
             Console& console);

// For tests. Prompts of the command line: several boxes are several objects, and points go with at
// most one box. Throws ErrorCode::Usage naming the option.
std::vector<sam::Prompt> parse_sam_prompts(const SamOptions& options);
// "mask.png" -> "mask_2.png"; as it is where there is one.
std::string numbered_path(const std::string& path, size_t index, size_t count);

}  // namespace tenon::cli
