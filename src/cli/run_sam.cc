#include "cli/run_sam.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "base/text.h"
#include "cli/cli_progress.h"
#include "cli/command_line.h"
#include "cli/interruption.h"
#include "cli/proof_note.h"
#include "cli/sketch.h"
#include "cli/tactics_note.h"
#include "imaging/decode.h"
#include "imaging/overlay.h"
#include "imaging/png_write.h"
#include "pipelines/sam/mask_json.h"

namespace tenon::cli {
namespace {

using data::Json;

// Numbers between commas, `least` to `most` of them.
std::vector<double> parse_list(std::string_view option, const std::string& text, size_t least,
                               size_t most, std::string_view accepted) {
  std::vector<double> numbers;
  for (const std::string& part : split(text, ',')) {
    std::optional<double> number = parse_number<double>(part);
    if (!number) break;
    numbers.push_back(*number);
  }
  bool whole = numbers.size() == split(text, ',').size();
  if (whole && numbers.size() >= least && numbers.size() <= most) return numbers;
  throw Error(ErrorCode::Usage, "not a place in the picture")
      .at(option)
      .got(text)
      .accepted(accepted);
}

// One mask to show, however it was found.
struct ShownMask {
  imaging::Mask mask;
  Json record = Json::object();
  std::vector<float> logits;  // [mask_size, mask_size], where a prompt gave it
};

struct Timing {
  double load = 0, decode = 0, encode = 0, masks = 0;
};

class Clock {
 public:
  double lap() {
    auto now = std::chrono::steady_clock::now();
    std::chrono::duration<double> taken = now - last_;
    last_ = now;
    return taken.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// The bare f32 values of a small mask, as --logits writes them.
std::vector<float> read_logits(const std::string& path, const sam::SamInfo& info) {
  auto file = MappedFile::open(path);
  auto count = static_cast<size_t>(info.mask_size * info.mask_size);
  if (file->bytes().size() != count * sizeof(float)) {
    throw Error(ErrorCode::BadInput, "not the logits of a small mask")
        .at(path)
        .got(std::to_string(file->bytes().size()) + " bytes")
        .accepted(std::to_string(count * sizeof(float)) +
                  " bytes: " + std::to_string(info.mask_size) + " x " +
                  std::to_string(info.mask_size) + " f32 values, as --logits writes them");
  }
  std::vector<float> logits(count);
  std::memcpy(logits.data(), file->bytes().data(), count * sizeof(float));
  file->verify_unchanged();
  return logits;
}

std::vector<ShownMask> find_prompted(sam::Predictor& predictor, const SamOptions& options) {
  std::vector<sam::Prompt> prompts = parse_sam_prompts(options);
  std::vector<float> mask_input;
  if (!options.mask_input.empty()) {
    mask_input = read_logits(options.mask_input, predictor.info());
    prompts[0].mask_logits = mask_input;
  }
  auto choice = options.multimask ? sam::MaskChoice::Several : sam::MaskChoice::Best;
  auto threshold = static_cast<float>(predictor.info().mask_threshold);
  std::vector<sam::ObjectMasks> objects =
      predictor.predict(prompts, choice, options.settings.points_per_batch);
  std::vector<ShownMask> shown;
  for (size_t i = 0; i < objects.size(); ++i) {
    for (size_t j = 0; j < objects[i].logits.size(); ++j) {
      ShownMask mask;
      mask.mask = predictor.resampler().threshold(objects[i].logits[j].data(), threshold);
      mask.record = sam::to_json(mask.mask, objects[i].predicted_iou[j]);
      mask.record.set("object", static_cast<int64_t>(i));
      mask.logits = std::move(objects[i].logits[j]);
      shown.push_back(std::move(mask));
    }
  }
  return shown;
}

std::vector<ShownMask> find_all(sam::Predictor& predictor, const imaging::Image& image,
                                const SamOptions& options, Console& console) {
  CliProgress progress(console);
  bool begun = false;
  auto report = [&](int64_t done, int64_t all) {
    throw_if_interrupted();
    if (!begun) progress.begin("points", all);
    begun = true;
    progress.advance(done);
  };
  std::vector<ShownMask> shown;
  for (sam::FoundMask& found : sam::find_everything(predictor, image, options.settings, report))
    shown.push_back({imaging::decode_rle(found.segmentation), sam::to_json(found), {}});
  if (begun) progress.end();
  return shown;
}

// The masks, `repeats` times; times are medians.
std::vector<ShownMask> find_masks(sam::Predictor& predictor, const imaging::Image& image,
                                  const SamOptions& options, Timing& timing, Console& console) {
  std::vector<double> encode, masks;
  std::vector<ShownMask> found;
  for (int64_t i = 0; i < options.repeats; ++i) {
    throw_if_interrupted();
    Clock clock;
    if (!options.everything) {
      predictor.set_image(image);
      encode.push_back(clock.lap());
      throw_if_interrupted();
    }
    found = options.everything ? find_all(predictor, image, options, console)
                               : find_prompted(predictor, options);
    masks.push_back(clock.lap());
  }
  auto median = [](std::vector<double>& seconds) {
    auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    return *middle;
  };
  if (!encode.empty()) timing.encode = median(encode);
  timing.masks = median(masks);
  return found;
}

void write_results(const SamOptions& options, const imaging::Image& image,
                   std::vector<ShownMask>& masks) {
  for (size_t i = 0; i < masks.size() && !options.output.empty(); ++i)
    imaging::write_png(numbered_path(options.output, i, masks.size()), masks[i].mask);
  for (size_t i = 0; i < masks.size() && !options.logits.empty(); ++i) {
    AtomicFile file(numbered_path(options.logits, i, masks.size()));
    file.append(std::as_bytes(std::span(masks[i].logits)));
    file.commit();
  }
  if (!options.overlay.empty()) {
    imaging::Image drawn = image;
    // Large ones first, so that what lies on them stays visible.
    std::vector<size_t> order(masks.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return masks[a].record.get_int("area", 0) > masks[b].record.get_int("area", 0);
    });
    for (size_t i : order) draw_mask(drawn, masks[i].mask, imaging::overlay_colour(i));
    imaging::write_png(options.overlay, drawn);
  }
  if (options.rle.empty()) return;
  Json list = Json::array();
  for (const ShownMask& mask : masks) {
    Json record = mask.record;
    list.push_back(record.set("polygons", sam::polygons_json(mask.mask)));
  }
  AtomicFile file(options.rle);
  file.append(list.dump() + "\n");
  file.commit();
}

Json report_json(const SamOptions& options, const imaging::DecodedImage& picture,
                 const std::vector<ShownMask>& masks, const Timing& timing) {
  Json image = Json::object(), notes = Json::array(), list = Json::array(), times = Json::object();
  for (const std::string& note : picture.notes) notes.push_back(note);
  image.set("path", options.image).set("format", picture.format);
  image.set("width", picture.image.width).set("height", picture.image.height);
  image.set("exif_orientation", int64_t{picture.orientation}).set("notes", std::move(notes));
  for (const ShownMask& mask : masks) list.push_back(mask.record);
  times.set("load_seconds", timing.load).set("decode_seconds", timing.decode);
  if (!options.everything) times.set("encode_seconds", timing.encode);
  times.set("mask_seconds", timing.masks).set("repeats", options.repeats);
  Json json = Json::object();
  if (!options.overlay.empty()) json.set("overlay", options.overlay);
  json.set("image", std::move(image)).set("masks", std::move(list)).set("speed", std::move(times));
  return json;
}

void print_masks(const std::vector<ShownMask>& masks, bool drawn, Console& console) {
  for (const ShownMask& mask : masks) {
    const Json::Array& box = mask.record.at("bbox", "mask").as_array("bbox");
    console.print(fmt::format("mask at {},{} of {} x {}: {} pixels, predicted IoU {:.3f}\n",
                              box[0].dump(), box[1].dump(), box[2].dump(), box[3].dump(),
                              mask.record.get_int("area", 0),
                              mask.record.get_double("predicted_iou", 0)));
  }
  if (!drawn) return;
  std::vector<imaging::Mask> all;
  for (const ShownMask& mask : masks) all.push_back(mask.mask);
  console.print(sketch(all));
}

void check_task(const SamOptions& options) {
  if (options.image.empty()) throw Error(ErrorCode::Usage, "no picture").accepted("--image FILE");
  bool prompted = !options.points.empty() || !options.boxes.empty() || !options.mask_input.empty();
  if (prompted == options.everything) {
    throw Error(ErrorCode::Usage, "say what to look for")
        .accepted("either --point, --box or --mask-input, or --everything");
  }
  if (options.everything && !options.logits.empty()) {
    throw Error(ErrorCode::Usage, "--everything keeps no logits").at("--logits");
  }
  if (options.everything && options.multimask)
    throw Error(ErrorCode::Usage, "--everything finds all masks anyway").at("--multimask");
  sam::check(options.settings, sam::OptionNames::Flags);
}

}  // namespace

std::vector<sam::Prompt> parse_sam_prompts(const SamOptions& options) {
  std::vector<sam::Prompt> prompts(std::max<size_t>(options.boxes.size(), 1));
  if (!options.points.empty() && options.boxes.size() > 1) {
    throw Error(ErrorCode::Usage, "points with several boxes: which object is meant?")
        .at("--point")
        .fix("give one box, or run once for each object");
  }
  if (!options.mask_input.empty() && options.boxes.size() > 1) {
    throw Error(ErrorCode::Usage, "a mask with several boxes: which object is meant?")
        .at("--mask-input")
        .fix("give one box, or run once for each object");
  }
  for (size_t i = 0; i < options.boxes.size(); ++i) {
    auto n = parse_list("--box", options.boxes[i], 4, 4, "x0,y0,x1,y1");
    prompts[i].box = sam::PromptBox{n[0], n[1], n[2], n[3]};
  }
  for (const std::string& text : options.points) {
    auto n = parse_list("--point", text, 2, 3, "x,y for the object, x,y,0 for what is not of it");
    if (n.size() == 3 && n[2] != 0 && n[2] != 1)
      throw Error(ErrorCode::Usage, "unknown label").at("--point").got(text).accepted("0, 1");
    prompts[0].points.push_back({n[0], n[1], n.size() < 3 || n[2] == 1});
  }
  return prompts;
}

std::string numbered_path(const std::string& path, size_t index, size_t count) {
  if (count <= 1) return path;
  size_t slash = path.rfind('/'), dot = path.rfind('.');
  bool extension = dot != path.npos && dot > 0 && (slash == path.npos || dot > slash + 1);
  size_t cut = extension ? dot : path.size();
  return path.substr(0, cut) + "_" + std::to_string(index + 1) + path.substr(cut);
}

void run_sam(std::shared_ptr<const plan::PlanFile> file, const SamOptions& options,
             Console& console) {
  check_task(options);
  if (!options.everything) parse_sam_prompts(options);
  Clock clock;
  Timing timing;
  imaging::DecodedImage picture = imaging::read_image(options.image);
  for (const std::string& note : picture.notes) console.note("note: " + note);
  if (picture.orientation != 1) {
    console.note(
        fmt::format("note: turned by its EXIF orientation, {}; places count in the upright "
                    "picture of {} x {}",
                    picture.orientation, picture.image.width, picture.image.height));
  }
  timing.decode = clock.lap();
  auto predictor = sam::Predictor::open(file, {.devices = {options.device}});
  std::string proof = proof_note(*file, predictor->session().device());
  if (!proof.empty()) console.note("note: " + proof);
  timing.load = clock.lap();
  throw_if_interrupted();
  std::vector<ShownMask> masks = find_masks(*predictor, picture.image, options, timing, console);
  write_results(options, picture.image, masks);
  note_tactics(predictor->session(), console);
  if (console.json()) {
    Json fields = report_json(options, picture, masks, timing);
    console.print_document("run", fields.set("device", options.device.to_string())
                                      .set("proof_note", proof)
                                      .set("tactics", tactics_json(predictor->session()))
                                      .set("command", command_line()));
  } else {
    print_masks(masks, options.sketch, console);
  }
  console.note(
      fmt::format("{} masks; loaded in {}, picture decoded in {}, encoded in {}, masks in {}",
                  masks.size(), format_seconds(timing.load), format_seconds(timing.decode),
                  format_seconds(timing.encode), format_seconds(timing.masks)));
}

void declare_sam(CLI::App& app, SamOptions& options) {
  auto add = [&](const char* name, auto& target, const char* what) {
    return app.add_option(name, target, what)->group(kPictureOptions);
  };
  add("--image", options.image, "the picture: JPEG or PNG")->type_name("FILE");
  add("--point", options.points,
      "x,y in pixels of the picture on the object, or x,y,0 beside it; may come again")
      ->allow_extra_args(false)
      ->type_name("X,Y");
  add("--box", options.boxes, "x0,y0,x1,y1 around an object; several boxes are several objects")
      ->allow_extra_args(false)
      ->type_name("BOX");
  app.add_flag("--multimask", options.multimask,
               "all masks of an object (whole, part, part of it), not the best one")
      ->group(kPictureOptions);
  CLI::Option* everything =
      app.add_flag("--everything", options.everything, "every object of the picture")
          ->group(kPictureOptions);
  add("--mask-input", options.mask_input,
      "logits of an earlier, small mask of the object, as --logits writes them")
      ->type_name("FILE");
  add("-o,--output", options.output, "a PNG of the mask; of several, NAME_1.png, NAME_2.png, ...")
      ->type_name("PNG");
  add("--overlay", options.overlay, "a PNG of the picture with the masks drawn in")
      ->type_name("PNG");
  add("--rle", options.rle, "a JSON list of the masks: COCO's RLE, boxes, scores, polygons")
      ->type_name("JSON");
  app.add_flag("--sketch", options.sketch, "shows in letters where the masks lie")
      ->group(kPictureOptions);
  add("--logits", options.logits,
      "the small mask before the threshold: bare f32 values, row by row, for --mask-input")
      ->type_name("FILE");
  add("--repeats", options.repeats, "works as often, on the same; the times are medians")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  sam::EverythingOptions& s = options.settings;
  auto setting = [&](const char* name, auto& target, const char* what) {
    add(name, target, what)->capture_default_str()->needs(everything);
  };
  add("--points-per-batch", s.points_per_batch, "prompts that run at once")->capture_default_str();
  setting("--points-per-side", s.points_per_side, "everything: clicks on a side of the grid");
  setting("--pred-iou-thresh", s.pred_iou_thresh,
          "everything: masks of a higher predicted IoU stay");
  setting("--stability-score-thresh", s.stability_score_thresh,
          "everything: masks of at least this stability stay");
  setting("--stability-score-offset", s.stability_score_offset,
          "everything: how far the threshold moves for it");
  setting("--box-nms-thresh", s.box_nms_thresh, "everything: boxes more alike are one mask");
  setting("--crop-n-layers", s.crop_n_layers, "everything: layers of crops, 4^n in the nth");
  setting("--crop-nms-thresh", s.crop_nms_thresh, "everything: the same between crops");
  setting("--crop-overlap-ratio", s.crop_overlap_ratio, "everything: overlap of crops");
  setting("--crop-n-points-downscale-factor", s.crop_n_points_downscale_factor,
          "everything: the grid is this much coarser in each layer");
  setting("--min-mask-region-area", s.min_mask_region_area,
          "everything: smaller holes and islands are mended; 0: none");
}

}  // namespace tenon::cli
