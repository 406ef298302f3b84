#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "tensor/weight_source.h"

namespace tenon::compiler {

// Weights in memory, for tests.
class TestWeights : public WeightSource {
 public:
  void add(const std::string& name, const Extents& extents, const std::vector<float>& values) {
    infos_.push_back({name, DType::F32, extents});
    tensors_.push_back(Tensor::make_from<float>(DType::F32, extents, values));
  }
  const std::vector<WeightInfo>& weights() const override { return infos_; }
  const WeightInfo* find(std::string_view name) const override {
    for (const WeightInfo& info : infos_) {
      if (info.name == name) return &info;
    }
    return nullptr;
  }
  TensorView view(std::string_view name) const override {
    for (size_t i = 0; i < infos_.size(); ++i) {
      if (infos_[i].name == name) return tensors_[i].view();
    }
    throw Error(ErrorCode::BadInput, "no such weight").got(name);
  }

 private:
  std::vector<WeightInfo> infos_;
  std::vector<Tensor> tensors_;
};

}  // namespace tenon::compiler
