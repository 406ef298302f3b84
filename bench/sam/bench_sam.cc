// Times the stages of a Segment Anything plan and tells what they answer.
//   bench_sam PLAN [--device cuda]
// takes one request a line on the standard input and prints one JSON object for each:
//   encode PIXELS OUT                            raw f32 [image, image, 3] -> [cells, width]
//   decode PROMPTS TOKENS POINTS LABELS MASKS IOU [LOGITS]
//                                                raw f32 and i32 inputs of the decoder, its outputs
//   time-encode REPEATS [WARM_UP]                seconds of each run, the pixels on the device
//   time-decode PROMPTS REPEATS [WARM_UP]        one click a prompt; points go up, nothing comes
//                                                down
//   time-everything PICTURE POINTS REPEATS [IOU STABILITY NMS]   pixels to masks
//   profile STAGE PROMPTS                        seconds of each step by itself
//   memory                                       bytes held on the device and in use by all
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/error.h"
#include "imaging/decode.h"
#include "pipelines/sam/everything.h"
#include "plan/plan_file.h"

namespace {

using namespace tenon;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void print_list(const std::vector<double>& values) {
  std::printf("[");
  for (size_t i = 0; i < values.size(); ++i) std::printf("%s%.9g", i ? ", " : "", values[i]);
  std::printf("]");
}

double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Tensor read_raw(const std::string& path, DType dtype, const Extents& extents) {
  Tensor tensor = Tensor::make(dtype, extents);
  std::ifstream file(path, std::ios::binary);
  file.read(static_cast<char*>(tensor.view().data), tensor.view().bytes());
  if (file.gcount() != tensor.view().bytes())
    throw Error(ErrorCode::BadInput, "file is too short").at(path);
  return tensor;
}

void write_raw(const std::string& path, const TensorView& view) {
  Tensor values = make_f32(view);
  std::ofstream file(path, std::ios::binary);
  file.write(static_cast<const char*>(values.view().data), values.view().bytes());
  if (!file) throw Error(ErrorCode::Io, "cannot write").at(path);
}

class Bench {
 public:
  Bench(const std::string& plan, const std::string& device) {
    runtime::SessionOptions options;
    options.devices = {device::DeviceId::parse(device)};
    Clock::time_point begin = Clock::now();
    predictor_ = sam::Predictor::open(plan::PlanFile::open(plan), options);
    std::printf("{\"device\": \"%s\", \"open_seconds\": %.6g, \"tactics\": %zu}\n",
                session().device().description().c_str(), seconds_since(begin),
                session().tactics().size());
    free_before_ = session().device().free_bytes();
  }

  void answer(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "encode") {
      encode(words);
    } else if (verb == "decode") {
      decode(words);
    } else if (verb == "time-encode") {
      time_encode(words);
    } else if (verb == "time-decode") {
      time_decode(words);
    } else if (verb == "time-everything") {
      time_everything(words);
    } else if (verb == "profile") {
      profile(words);
    } else if (verb == "memory") {
      memory();
    } else {
      throw Error(ErrorCode::Usage, "unknown request").got(line);
    }
    std::fflush(stdout);
  }

 private:
  runtime::Session& session() { return predictor_->session(); }
  const sam::SamInfo& info() const { return predictor_->info(); }

  void encode(std::istream& words) {
    std::string from, to;
    words >> from >> to;
    Tensor pixels = read_raw(from, DType::F32, {info().image_size, info().image_size, 3});
    runtime::StageRunner& encoder = session().stage("image_encoder");
    TensorView inputs[] = {pixels.view()};
    embedding_ = encoder.run(inputs)[0];
    write_raw(to, encoder.to_host(embedding_));
    std::printf("{\"encode\": \"%s\"}\n", to.c_str());
  }

  void decode(std::istream& words) {
    int64_t prompts = 0, tokens = 0;
    std::string points, labels, masks, iou, logits;
    words >> prompts >> tokens >> points >> labels >> masks >> iou >> logits;
    Tensor places = read_raw(points, DType::F32, {prompts, tokens, 2});
    Tensor kinds = read_raw(labels, DType::I32, {prompts * tokens});
    runtime::StageRunner& decoder =
        session().stage(logits.empty() ? "mask_decoder" : "mask_decoder_with_mask");
    bool host = decoder.is_host();
    std::vector<runtime::StageInput> inputs = {
        {embedding_, true}, {places.view(), host}, {kinds.view(), host}};
    Tensor mask;
    if (!logits.empty()) {
      mask = read_raw(logits, DType::F32, {prompts, info().mask_size, info().mask_size});
      inputs.push_back({mask.view(), host});
    }
    std::span<const TensorView> outputs = decoder.run(std::span<const runtime::StageInput>(inputs));
    write_raw(iou, decoder.to_host(outputs[1]));
    write_raw(masks, decoder.to_host(outputs[0]));
    std::printf("{\"decode\": \"%s\"}\n", masks.c_str());
  }

  struct Repeats {
    int timed = 20, warm_up = 4;
  };
  static Repeats read_repeats(std::istream& words) {
    Repeats repeats, given;
    if (words >> given.timed) repeats.timed = given.timed;
    if (words >> given.warm_up) repeats.warm_up = given.warm_up;
    return repeats;
  }

  // One small output is fetched where nothing else waits for the end of the run.
  template <class Run>
  std::vector<double> time(const Repeats& repeats, runtime::StageRunner& stage, const Run& run) {
    std::vector<double> seconds;
    for (int i = 0; i < repeats.warm_up + repeats.timed; ++i) {
      Clock::time_point begin = Clock::now();
      stage.to_host(run());
      if (i >= repeats.warm_up) seconds.push_back(seconds_since(begin));
    }
    return seconds;
  }

  // A view of the first few values: waiting for it is waiting for the run.
  static TensorView first_of(const TensorView& view) {
    return TensorView(view.data, view.dtype, {1});
  }

  TensorView make_embedding() {
    runtime::StageRunner& encoder = session().stage("image_encoder");
    if (!pixels_.data()) {
      int64_t side = info().image_size;
      Tensor pixels = Tensor::make(DType::F32, {side, side, 3});
      uint64_t state = 1;
      for (int64_t i = 0; i < side * side * 3; ++i) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        pixels.as<float>()[i] = static_cast<float>(state >> 40) * 0x1p-22f - 2;
      }
      device::Device& device = session().device();
      pixels_ = device::Arena(device.allocator(), pixels.view().bytes());
      auto stream = device.make_stream();
      device.upload(pixels_.data(), pixels.view().data, pixels.view().bytes(), *stream);
      stream->synchronize();
    }
    Extents extents = {info().image_size, info().image_size, 3};
    runtime::StageInput inputs[] = {{TensorView(pixels_.data(), DType::F32, extents), true}};
    return embedding_ = encoder.run(std::span<const runtime::StageInput>(inputs))[0];
  }

  void time_encode(std::istream& words) {
    std::vector<double> seconds = time(read_repeats(words), session().stage("image_encoder"),
                                       [&] { return first_of(make_embedding()); });
    std::printf("{\"stage\": \"image_encoder\", \"median_seconds\": %.9g, \"samples\": ",
                median(seconds));
    print_list(seconds);
    std::printf("}\n");
  }

  std::span<const TensorView> run_clicks(int64_t prompts) {
    Tensor points = Tensor::make(DType::F32, {prompts, 2, 2});
    Tensor labels = Tensor::make(DType::I32, {prompts * 2});
    for (int64_t i = 0; i < prompts; ++i) {
      float* at = points.as<float>() + 4 * i;
      at[0] = 0.1f + 0.8f * static_cast<float>(i % 8) / 8;
      at[1] = 0.1f + 0.8f * static_cast<float>(i / 8 % 8) / 8;
      at[2] = at[3] = 0.5f / static_cast<float>(info().image_size);
      labels.as<int32_t>()[2 * i] = 2;      // foreground
      labels.as<int32_t>()[2 * i + 1] = 0;  // padding
    }
    runtime::StageRunner& decoder = session().stage("mask_decoder");
    bool host = decoder.is_host();
    runtime::StageInput inputs[] = {
        {embedding_, true}, {points.view(), host}, {labels.view(), host}};
    return decoder.run(std::span<const runtime::StageInput>(inputs));
  }

  void time_decode(std::istream& words) {
    int64_t prompts = 1;
    words >> prompts;
    if (!embedding_.defined()) make_embedding();
    runtime::StageRunner& decoder = session().stage("mask_decoder");
    std::vector<double> seconds =
        time(read_repeats(words), decoder, [&] { return first_of(run_clicks(prompts)[1]); });
    std::printf(
        "{\"stage\": \"mask_decoder\", \"prompts\": %lld, \"median_seconds\": %.9g, "
        "\"samples\": ",
        static_cast<long long>(prompts), median(seconds));
    print_list(seconds);
    std::printf("}\n");
  }

  void time_everything(std::istream& words) {
    std::string path;
    sam::EverythingOptions options;
    int repeats = 3;
    words >> path >> options.points_per_side >> repeats;
    words >> options.pred_iou_thresh >> options.stability_score_thresh >> options.box_nms_thresh;
    imaging::Image image = imaging::read_image(path).image;
    std::vector<double> seconds;
    size_t masks = 0;
    for (int i = 0; i < repeats + 2; ++i) {
      Clock::time_point begin = Clock::now();
      masks = sam::find_everything(*predictor_, image, options).size();
      if (i >= 2) seconds.push_back(seconds_since(begin));
    }
    std::printf("{\"everything\": \"%s\", \"masks\": %zu, \"median_seconds\": %.9g, \"samples\": ",
                path.c_str(), masks, median(seconds));
    print_list(seconds);
    std::printf("}\n");
  }

  void profile(std::istream& words) {
    std::string name;
    int64_t prompts = 1;
    words >> name >> prompts;
    make_embedding();
    SymbolValues symbols;
    if (name != "image_encoder") {
      run_clicks(prompts);
      symbols = {{"prompts", prompts}, {"points", 2}};
    }
    runtime::StageRunner& stage = session().stage(name);
    const std::vector<runtime::StepChoice>& choices = stage.choices(symbols);
    std::vector<double> seconds =
        stage.is_host() ? time_in_order(stage, prompts) : time_alone(stage, choices);
    std::printf("{\"profile\": \"%s\", \"steps\": [", name.c_str());
    for (size_t i = 0; i < choices.size(); ++i) {
      std::printf("%s[%.2f, \"%s\", \"%s\"]", i ? ", " : "", 1e6 * seconds[i],
                  choices[i].implementation.c_str(), choices[i].module.c_str());
    }
    std::printf("]}\n");
  }

  // Of each step between two others, as they are in a run: the least of some runs, since whatever
  // else the machine does only adds.
  std::vector<double> time_in_order(runtime::StageRunner& stage, int64_t prompts) {
    int runs = stage.stage().name == "image_encoder" ? 3 : 20;
    std::vector<std::vector<double>> samples(stage.stage().steps.size());
    for (int i = 0; i < runs; ++i) {
      Clock::time_point last = Clock::now();
      stage.set_observer([&](size_t step, std::span<const TensorView>) {
        samples[step].push_back(seconds_since(last));
        last = Clock::now();
        return false;
      });
      if (stage.stage().name == "image_encoder") {
        make_embedding();
      } else {
        run_clicks(prompts);
      }
    }
    stage.set_observer(nullptr);
    std::vector<double> seconds;
    for (std::vector<double>& one : samples)
      seconds.push_back(*std::min_element(one.begin(), one.end()));
    return seconds;
  }

  // Of each step by itself, over what the last run left in memory.
  std::vector<double> time_alone(runtime::StageRunner& stage,
                                 const std::vector<runtime::StepChoice>& choices) {
    std::vector<double> seconds;
    for (size_t i = 0; i < choices.size(); ++i) {
      runtime::Candidate candidate;
      for (const runtime::Backend& backend : stage.backends()) {
        for (const ops::Implementation* one : backend.implementations)
          if (one->name == choices[i].implementation) candidate = {one, choices[i].variant, ""};
      }
      size_t steps[] = {i};
      seconds.push_back(stage.time_steps(steps, candidate, 5, 0.2));
    }
    return seconds;
  }

  void memory() {
    int64_t free = session().device().free_bytes(), arenas = 0;
    for (const plan::Stage& stage : session().plan().stages)
      arenas += session().stage(stage.name).arena_bytes();
    std::printf("{\"arena_bytes\": %lld, \"since_opening_bytes\": %lld}\n",
                static_cast<long long>(arenas), static_cast<long long>(free_before_ - free));
  }

  std::unique_ptr<sam::Predictor> predictor_;
  TensorView embedding_;  // on the device
  device::Arena pixels_;
  int64_t free_before_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  std::string plan, device = "cuda";
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--device" && i + 1 < argc) {
      device = argv[++i];
    } else if (plan.empty()) {
      plan = word;
    }
  }
  try {
    if (plan.empty()) throw Error(ErrorCode::Usage, "usage: bench_sam PLAN [--device cuda]");
    Bench bench(plan, device);
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) bench.answer(line);
  } catch (const Error& error) {
    std::fprintf(stderr, "bench_sam: %s\n", error.what());
    return 1;
  }
}
