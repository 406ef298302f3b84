#include "tensor/value_type.h"

namespace tenon {

std::string to_string(const QuantSpec& quant) {
  std::string out =
      std::string(dtype_name(quant.codes)) + " scale " + std::string(dtype_name(quant.scales));
  out += quant.axis < 0 ? " per_tensor" : " axis " + std::to_string(quant.axis);
  if (quant.group > 0) out += " group " + std::to_string(quant.group);
  if (quant.zero_points) out += " zero_points";
  if (quant.permuted) out += " permuted";
  if (!quant.clusters.empty()) out += " clusters " + std::to_string(quant.clusters.size());
  return out;
}

std::string to_string(const ValueType& type) {
  std::string out = std::string(dtype_name(type.dtype)) + to_string(type.shape);
  if (type.quant) out += "{" + to_string(*type.quant) + "}";
  return out;
}

}  // namespace tenon
