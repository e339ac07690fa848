// y = tower(x), slab by slab.
#pragma once
#include "dense/slab.hpp"

namespace clickwise::CW_ISA {

template <class E>
struct Forward {
  const DenseTower& tower;
  E* weight[kMostLayers];    // W^T [K, N] in panels
  float* bias[kMostLayers];  // zeros behind N, up to a multiple of 32

  CW_INLINE explicit Forward(const DenseTower& tower) : tower(tower) {
    clickwise::CW_ISA::lay_out(*this, Scratch::call);
    const auto panels = [&](int64_t l) { return narrow(tower, l) ? 0 : pieces(tower.layers[l].N, kPanel); };
    for_each_piece(tower.count, panels, [&](int64_t l, int64_t panel) {
      const DenseLayer& layer = tower.layers[l];
      pack_transpose(layer.weight, layer.N, layer.K, weight[l], panel);
    });
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      for (int64_t n = 0; n < padded(layer.N); n++) bias[l][n] = layer.bias && n < layer.N ? layer.bias[n] : 0;
    }
  }

  CW_INLINE void lay_out(Cutter& cutter) {
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      weight[l] = narrow(tower, l) ? nullptr : cutter.cut<E>(panels_size(layer.K, layer.N));
      bias[l] = cutter.cut<float>(padded(layer.N));
    }
  }

  // Rows [first, first + R) of the batch.
  void slab(const float* x, int64_t first, int64_t R, const Saved<E>* saved, float* y) const {
    const Tiles tiles;
    const SlabRows<E> slab(tower);
    const E* a = slab.rows[0];
    to_rows(x + first * tower.layers[0].K, R, tower.layers[0].K, slab.rows[0]);
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N, ld = stride<E>(N);
      const Dropout dropout(layer.dropout, tower.seed, l);
      if (narrow(tower, l)) {
        dot_products(layer, bias[l], a, R, y + first * N);
      } else if (l == tower.count - 1) {
        product(a, stride<E>(K), R, weight[l], K, N,
                Activate<E, float>{bias[l], layer.relu, dropout, first, y + first * N, N, N});
      } else {
        E* out = saved ? saved->rows[l] + first * ld : slab.rows[(l + 1) & 1];
        product(a, stride<E>(K), R, weight[l], K, N,
                Activate<E, E>{bias[l], layer.relu, dropout, first, out, ld, padded(N, kPanel)});
        end_rows(out, R, N);
        a = out;
      }
    }
  }

  CW_INLINE static void dot_products(const DenseLayer& layer, const float* bias, const E* a, int64_t R, float* y) {
    const int64_t K = layer.K, N = layer.N, ld = stride<E>(K);
    for (int64_t r = 0; r < R; r++) {
      for (int64_t n = 0; n < N; n++) {
        const float* w = layer.weight + n * K;
        Floats sums[2]{};
        int64_t k = 0;
        for (; k + 2 * kLanes <= K; k += 2 * kLanes) {
          for (int i = 0; i < 2; i++) sums[i] += load(a + r * ld + k + i * kLanes) * load(w + k + i * kLanes);
        }
        for (; k < K; k += kLanes) sums[0] += load(a + r * ld + k) * load_first(w + k, K - k);
        y[r * N + n] = sum(sums[0] + sums[1]) + bias[n];
      }
    }
  }
};

template <class E>
CW_INLINE void forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* memory, float* y) {
  const Forward<E> plan(tower);
  Cutter cutter{memory};
  const Saved<E> saved(tower, B, cutter);
  parallel_for(pieces(B, kSlab), [&](int64_t i) {
    plan.slab(x, i * kSlab, smaller(kSlab, B - i * kSlab), memory ? &saved : nullptr, y);
  });
}

}  // namespace clickwise::CW_ISA
