#pragma once

#include "ops/implementation.h"
#include "tensor/tensor.h"

// Ops that move elements and compute nothing: bytes, whatever they mean; no ISA is asked for.
namespace tenon::cpu {

// yes where every tensor has elements of whole bytes and is not quantised.
ops::Support support_moves(const ops::OpDesc& desc);

// Copies elements between views of equal extents; strides may be anything, those of `from` also 0.
void copy_elements(const TensorView& from, const TensorView& to);

}  // namespace tenon::cpu
