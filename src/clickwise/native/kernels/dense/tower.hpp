// A tower of linear layers, a_{l+1} = dropout(relu(W_l a_l + b_l)), and a cross network of version 2, whose layers
// x_{i+1} = x_0 * u_i + x_i are made of one linear layer, u_i = W x_i + b, or of two, u_i = U (V x_i) + b.
// See README.md in this folder.
#pragma once
#include <cstddef>
#include <cstdint>

#include "machine/isa.hpp"

namespace clickwise {

// One layer, K inputs to N outputs. All arrays are fp32, row-major and dense.
struct DenseLayer {
  const float* weight;  // [N, K]
  const float* bias;    // [N], or null for none
  int64_t K, N;
  bool relu;
  float dropout;  // share of activations set to zero, in [0, 1); only with `relu`
  float* grad_weight = nullptr;  // [N, K], written by `backward`; null when nobody asks
  float* grad_bias = nullptr;    // [N], likewise
};

constexpr int kMostLayers = 64;

struct DenseTower {
  const DenseLayer* layers;
  int64_t count;  // at most kMostLayers
  uint64_t seed;  // of dropout
  bool half;      // operands of the products are rounded to bf16; sums are fp32 either way
  int64_t links;  // 0: a tower; 1 or 2: linear layers to a layer of a cross network, without ReLU and dropout
};

// Columns [first, last) of a row.
struct Run {
  int64_t first, last;
};

// A tower whose weights were laid out once, by `pack`, to score with. Some columns of x are the same in all rows of a
// batch, and are multiplied once: the first layer is relu(W x_own + (V x_shared + b)).
struct PackedTower {
  DenseTower tower;       // its first layer has W: K are the own columns
  const uint8_t* packed;  // [packed_bytes]
  const Run* own;         // K columns in all
  int64_t num_own;
  const Run* shared;  // K_shared columns in all
  int64_t num_shared;
  const float* shared_weight;  // V [N of the first, K_shared]
  int64_t K_shared;            // 0: all columns are own
  int64_t width;               // columns of x
};

struct DenseKernels {
  // Bytes that `forward` keeps for `backward`: the activations of all layers but the last; of a cross network u_i too.
  int64_t (*saved_bytes)(const DenseTower& tower, int64_t B);

  // x [B, K of the first] in; y [B, N of the last] out; saved [saved_bytes] out, or null when no gradient is wanted.
  void (*forward)(const DenseTower& tower, const float* x, int64_t B, uint8_t* saved, float* y);

  // From x, saved and y of the forward pass and grad_y [B, N of the last]: each layer's grad_weight and grad_bias, and
  // grad_x [B, K of the first] unless that is null. A cross network needs no y, and grad_x always.
  void (*backward)(const DenseTower& tower, const float* x, int64_t B, const uint8_t* saved, const float* y,
                   const float* grad_y, float* grad_x);

  // For towers alone. Bytes of the tower's weights as `pack` lays them out: the same on every instruction set.
  int64_t (*packed_bytes)(const DenseTower& tower);
  void (*pack)(const DenseTower& tower, uint8_t* packed);
  // x [B, width] in; y [B, N of the last] out. Weights but those of a narrow last layer are not read again.
  void (*score)(const PackedTower& packed, const float* x, int64_t B, float* y);

  // Floating-point operations of `steps` rounds of multiply-adds that never leave the registers: the limit of one core.
  int64_t (*spin)(bool half, int64_t steps);
};

CW_DENSE_FAMILY(DenseKernels, dense)

}  // namespace clickwise
