#include "ops/fourier_features.h"

#include "backends/cuda/impl_list.h"
#include "backends/cuda/kernels/device/cover.cuh"
#include "backends/cuda/kernels/matrix.cuh"
#include "backends/cuda/kernels/support.h"
#include "backends/cuda/launch.h"

// Phases of a few points: sin and cos of pi times an f32, which are exact about whole turns where
// sinf(2 pi p) would lose what the product rounds.
namespace tenon::cuda {
namespace {

using device::Any;

__global__ void fourier_features_kernel(Matrix<Any> x, Matrix<Any> frequencies, Matrix<Any> y,
                                        int64_t rows, int dims, int64_t count) {
  device::let_next_start();
  device::wait_for_previous();
  struct Row {
    int64_t x, y;
  };
  device::for_each_unit(
      rows, count,
      [&](int64_t row) {
        return Row{x.layout.offset(row), y.layout.offset(row)};
      },
      [&](const Row& row, int64_t i) {
        double phase = 0;
        for (int d = 0; d < dims; ++d) {
          float at[1], frequency[1];
          x.load(row.x, d, at);
          frequencies.load(frequencies.layout.offset(d), i, frequency);
          phase += (2.0 * static_cast<double>(at[0]) - 1.0) * static_cast<double>(frequency[0]);
        }
        // Whole turns do not count: what is left fits f32.
        auto part = static_cast<float>(2.0 * (phase - rint(phase)));
        float sine[1] = {sinpif(part)}, cosine[1] = {cospif(part)};
        y.store(row.y, i, sine);
        y.store(row.y, count + i, cosine);
      });
}

void run(const ops::RunArgs& args) {
  const TensorView &x = args.inputs[0], &frequencies = args.inputs[1], &y = args.outputs[0];
  if (y.count() == 0) return;
  int64_t count = frequencies.columns();
  auto [grid, block] = cover(y.rows(), count);
  launch(fourier_features_kernel, kFourierFeatures.name, {grid, block, 0, true}, stream_of(args),
         matrix_of<Any>(x), matrix_of<Any>(frequencies), matrix_of<Any>(y), y.rows(),
         static_cast<int>(x.columns()), count);
}

}  // namespace

const ops::Implementation kFourierFeatures = {.name = "fourier_features__any__256__sm80",
                                              .op = ops::FourierFeatures::kName,
                                              .supports =
                                                  [](const ops::OpDesc& desc) {
                                                    return support_floats(desc, {0, 1}, {0});
                                                  },
                                              .run = run};

}  // namespace tenon::cuda
