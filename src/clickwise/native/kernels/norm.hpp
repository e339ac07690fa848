// Batch normalisation with the activation and the dropout that follow it. All buffers are row-major and dense.
#pragma once
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// Sums over the batch are taken over blocks of this many rows, then over the blocks in their order, in float64: no sum
// depends on threads.
constexpr int64_t kNormRows = 64;
static constexpr int64_t norm_blocks(int64_t B) { return (B + kNormRows - 1) / kNormRows; }

// y = dropout(relu(gamma (z - mean) / sqrt(variance + eps) + beta)). Dropout keeps what `machine/dropout.hpp` says of
// (seed, layer, row, column), divided by 1 - share; without dropout the share is 0.
struct Norm {
  int64_t B, N;
  const float *mean, *variance, *gamma, *beta;  // [N]
  double eps, share;
  uint64_t seed;
  uint32_t layer;
};

struct NormKernels {
  // Mean and (biased) variance of each column, by deviations from the means of the blocks: as exact as two passes.
  //   z [B, N] in, B >= 1; mean, variance [N] out; scratch [norm_blocks(B), 3, N].
  void (*moments)(const float* z, int64_t B, int64_t N, float* mean, float* variance, float* scratch);

  //   z [B, N] in; y [B, N] out; scratch [N].
  void (*forward)(const Norm&, const float* z, float* y, float* scratch);

  // With h = grad_y through dropout and ReLU and n = (z - mean) / sqrt(variance + eps):
  //   grad_beta = sum_b h,  grad_gamma = sum_b h n,
  //   grad_z = gamma / sqrt(variance + eps) (h - [grad_beta / B + n grad_gamma / B where `of_batch`]);
  // `of_batch` says that mean and variance are those of z, and not constants.
  //   grad_y, z [B, N] in; grad_z [B, N], grad_gamma, grad_beta [N] out; scratch [2 norm_blocks(B) + 3, N].
  void (*backward)(const Norm&, bool of_batch, const float* grad_y, const float* z, float* grad_z, float* grad_gamma,
                   float* grad_beta, float* scratch);
};

CW_VECTOR_FAMILY(NormKernels, norm)

}  // namespace clickwise
