// A cross network of version 2, x_{i+1} = x_0 * u_i + x_i, slab by slab: DCN V2, Eqs. 1 and 2.
//
// u_i is one linear layer of x_i, or two, one after the other: `links` of them. x_i is the input of the first, in rows
// for the products; beside them runs x_i in fp32, [B, d] as it lies in x_0 and y.
#pragma once
#include "dense/gradients.hpp"
#include "dense/packed.hpp"

namespace clickwise::CW_ISA {

// What the forward pass keeps: the input of every linear layer but the first, and every u_i, all in rows.
template <class E>
struct CrossSaved {
  Saved<E> inputs;
  E* outer[kMostLayers];

  CW_INLINE CrossSaved(const DenseTower& tower, int64_t B, Cutter& cutter) : inputs(tower, B, cutter) {
    for (int64_t i = 0; i < tower.count / tower.links; i++)
      outer[i] = cutter.cut<E>(padded(B) * stride<E>(tower.layers[0].K));
  }
};

// A sink (sinks.hpp): u = c + bias, to = x_0 * u + x.
template <class E>
struct Cross {
  const float* bias;    // zeros behind the last column, up to a multiple of 32
  const float *x0, *x;  // [R, d]
  float* to;            // [R, d]; may be x
  E *next, *outer;      // `to` and u in rows, or null
  int64_t d;

  CW_INLINE void operator()(int64_t row, int64_t rows, int64_t column, int64_t columns, const float* c) const {
    for (int64_t i = 0; i < rows; i++) {
      const int64_t dense = (row + i) * d, in_rows = (row + i) * stride<E>(d);
      for (int64_t j = column; j < column + columns; j += kLanes) {
        const Floats u = load(c + i * Tile<E>::columns + j - column) + load(bias + j);
        const Floats v = load_first(x0 + dense + j, d - j) * u + load_first(x + dense + j, d - j);
        store_first(to + dense + j, v, d - j);
        if (next) store(next + in_rows + j, v);
        if (outer) store(outer + in_rows + j, u);
      }
    }
  }
};

template <class E>
CW_INLINE void cross_slab(const Packed<E>& weights, const float* x0, int64_t first, int64_t R,
                          const CrossSaved<E>* saved, float* y) {
  const DenseTower& tower = weights.tower;
  const int64_t d = tower.layers[0].K;
  const Tiles tiles;
  const SlabRows<E> slab(tower);
  x0 += first * d;
  y += first * d;
  const float* x = x0;
  const E* a = slab.rows[0];
  to_rows(x0, R, d, slab.rows[0]);
  for (int64_t l = 0; l < tower.count; l++) {
    const int64_t K = tower.layers[l].K, N = tower.layers[l].N, ld = stride<E>(N);
    const bool last = l == tower.count - 1, crosses = (l + 1) % tower.links == 0;
    E* out = saved && !last ? saved->inputs.rows[l] + first * ld : slab.rows[(l + 1) & 1];
    if (crosses) {
      E* outer = saved ? saved->outer[l / tower.links] + first * ld : nullptr;
      product(a, stride<E>(K), R, weights.weight[l], K, N,
              Cross<E>{weights.bias[l], x0, x, y, last ? nullptr : out, outer, d});
      x = y;
    } else {
      product(a, stride<E>(K), R, weights.weight[l], K, N,
              Activate<E, E>{weights.bias[l], false, Dropout(0, 0, l), first, out, ld, padded(N, kPanel)});
    }
    end_rows(out, R, N);
    a = out;
  }
}

template <class E>
CW_INLINE void cross_forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* memory, float* y) {
  Packed<E> weights(tower);
  lay_out(weights, Scratch::call);
  weights.fill();
  Cutter cutter{memory};
  const CrossSaved<E> saved(tower, B, cutter);
  parallel_for(pieces(B, kSlab), [&](int64_t i) {
    cross_slab(weights, x, i * kSlab, smaller(kSlab, B - i * kSlab), memory ? &saved : nullptr, y);
  });
}

// With g = dL/dx_{i+1}: dL/du_i = g * x_0, dL/dx_i = g + what comes back through the linear layers, and
// dL/dx_0 = dL/dx_i of the first layer + the sum of all g * u_i, which is made where grad_x lies.
template <class E>
struct CrossBackward {
  const DenseTower& tower;
  const float *x, *grad_y;
  float* grad_x;
  const CrossSaved<E>& saved;
  const Gradients<E>& gradients;

  void slab(const Part& part) const {
    const Tiles tiles;
    const int64_t d = tower.layers[0].K, at = part.first * d;
    const SlabRows<E> slab(tower, d);
    for (int64_t i = tower.count / tower.links - 1; i >= 0; i--) {
      const int64_t bottom = i * tower.links;
      int turn = 0;
      outer_gradient(i, part.first, part.R, slab);
      for (int64_t l = bottom + tower.links - 1; l >= bottom; l--) {
        const int64_t K = tower.layers[l].K, N = tower.layers[l].N, ld = stride<E>(K);
        E *from = slab.rows[turn], *below = slab.rows[turn ^ 1];
        if (l)
          gradients.keep(l, part, from, saved.inputs.rows[l - 1] + part.first * ld, ld);
        else
          gradients.keep(l, part, from, x + at, d);
        if (l > bottom) {
          product(from, stride<E>(N), part.R, gradients.weight[l], N, K, Mask<E>{nullptr, 1, below, ld});
          end_rows(below, part.R, K);
        } else {
          product(from, stride<E>(N), part.R, gradients.weight[l], N, K,
                  Write<E>{true, i ? slab.total : grad_x + at, d, d});
        }
        turn ^= 1;
      }
    }
  }

  // dL/du_i of a slab to its rows. Its `total` is g, and becomes dL/dx_i as the linear layers add to it; the sum of g * u_i
  // is in grad_x, which takes the place of `total` in the first layer.
  CW_INLINE void outer_gradient(int64_t i, int64_t first, int64_t R, const SlabRows<E>& slab) const {
    const int64_t d = tower.layers[0].K, ld = stride<E>(d);
    const bool top = i == tower.count / tower.links - 1;
    const float *above = top ? grad_y + first * d : slab.total, *x0 = x + first * d;
    float* sum = grad_x + first * d;
    const E* outer = saved.outer[i] + first * ld;
    for (int64_t r = 0; r < R; r++) {
      for (int64_t j = 0; j < padded(d); j += kLanes) {
        const int64_t at = r * d + j, in_rows = r * ld + j, count = d - j;
        const Floats g = load_first(above + at, count);
        Floats more = g * load_first(outer + in_rows, count);
        if (!top) more += load_first(sum + at, count);
        if (!i) more += g;
        store_first(sum + at, more, count);
        if (top && i) store_first(slab.total + at, g, count);
        store(slab.rows[0] + in_rows, g * load_first(x0 + at, count));
      }
    }
  }
};

template <class E>
CW_INLINE void cross_backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* memory,
                              const float* grad_y, float* grad_x) {
  Cutter cutter{const_cast<uint8_t*>(memory)};  // which is only read here
  const CrossSaved<E> saved(tower, B, cutter);
  const Gradients<E> gradients(tower, true);
  const CrossBackward<E> plan{tower, x, grad_y, grad_x, saved, gradients};
  gradients.run(B, [&](const Part& part) { plan.slab(part); });
}

}  // namespace clickwise::CW_ISA
