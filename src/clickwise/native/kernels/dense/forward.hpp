// y = tower(x), slab by slab.
#pragma once
#include "dense/packed.hpp"

namespace clickwise::CW_ISA {

// y[r, n] = <weight[n], a[r]> + bias[n], for weight [N, K], dense, and `a` in rows.
template <class E>
CW_INLINE void dot_products(const float* weight, int64_t K, int64_t N, const float* bias, const E* a, int64_t R,
                            float* y) {
  for (int64_t r = 0; r < R; r++) {
    const E* x = a + r * stride<E>(K);
    for (int64_t n = 0; n < N; n++) {
      const float* w = weight + n * K;
      Floats sums[2]{};
      int64_t k = 0;
      for (; k + 2 * kLanes <= K; k += 2 * kLanes) {
        for (int i = 0; i < 2; i++) sums[i] += load(x + k + i * kLanes) * load(w + k + i * kLanes);
      }
      for (; k < K; k += kLanes) sums[0] += load(x + k) * load_first(w + k, K - k);
      y[r * N + n] = sum(sums[0] + sums[1]) + bias[n];
    }
  }
}

template <class E>
struct Forward {
  const Packed<E>& weights;
  const float* first_bias;  // of the first layer, as `Packed::bias`
  const Run* own;           // columns of x that the first layer reads
  int64_t num_own, width;

  // Rows [first, first + R) of the batch.
  void slab(const float* x, int64_t first, int64_t R, const Saved<E>* saved, float* y) const {
    const DenseTower& tower = weights.tower;
    const Tiles tiles;
    const SlabRows<E> slab(tower);
    const E* a = slab.rows[0];
    to_rows(x + first * width, width, own, num_own, R, tower.layers[0].K, slab.rows[0]);
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N, ld = stride<E>(N);
      const float* bias = l ? weights.bias[l] : first_bias;
      const Dropout dropout(layer.dropout, tower.seed, l);
      if (narrow(tower, l)) {
        dot_products(layer.weight, K, N, bias, a, R, y + first * N);
      } else if (l == tower.count - 1) {
        product(a, stride<E>(K), R, weights.weight[l], K, N,
                Activate<E, float>{bias, layer.relu, dropout, first, y + first * N, N, N});
      } else {
        E* out = saved ? saved->rows[l] + first * ld : slab.rows[(l + 1) & 1];
        product(a, stride<E>(K), R, weights.weight[l], K, N,
                Activate<E, E>{bias, layer.relu, dropout, first, out, ld, padded(N, kPanel)});
        end_rows(out, R, N);
        a = out;
      }
    }
  }

  CW_INLINE void all(const float* x, int64_t B, const Saved<E>* saved, float* y) const {
    parallel_for(pieces(B, kSlab),
                 [&](int64_t i) { slab(x, i * kSlab, smaller(kSlab, B - i * kSlab), saved, y); });
  }
};

template <class E>
CW_INLINE void forward(const DenseTower& tower, const float* x, int64_t B, uint8_t* memory, float* y) {
  Packed<E> weights(tower);
  lay_out(weights, Scratch::call);
  weights.fill();
  Cutter cutter{memory};
  const Saved<E> saved(tower, B, cutter);
  const Run columns{0, tower.layers[0].K};
  Forward<E>{weights, weights.bias[0], &columns, 1, columns.last}.all(x, B, memory ? &saved : nullptr, y);
}

template <class E>
CW_INLINE int64_t packed_bytes(const DenseTower& tower) {
  Cutter cutter;
  Packed<E>(tower).lay_out(cutter);
  return cutter.used;
}

template <class E>
CW_INLINE void pack_tower(const DenseTower& tower, uint8_t* memory) {
  Packed<E> weights(tower);
  Cutter cutter{memory};
  weights.lay_out(cutter);
  weights.fill();
}

// What the shared columns of x and the bias give the first layer: the same for all rows.
struct SharedPart {
  const PackedTower& packed;
  float *x, *bias;

  CW_INLINE void lay_out(Cutter& cutter) {
    x = cutter.cut<float>(stride<float>(packed.K_shared));
    bias = cutter.cut<float>(padded(packed.tower.layers[0].N));
  }

  CW_INLINE void compute(const float* row, const float* plain_bias) const {
    const int64_t N = packed.tower.layers[0].N;
    to_rows(row, packed.width, packed.shared, packed.num_shared, 1, packed.K_shared, x);
    dot_products(packed.shared_weight, packed.K_shared, N, plain_bias, x, 1, bias);
    for (int64_t n = N; n < padded(N); n++) bias[n] = 0;
  }
};

template <class E>
CW_INLINE void score(const PackedTower& packed, const float* x, int64_t B, float* y) {
  if (B == 0) return;
  Packed<E> weights(packed.tower);
  Cutter cutter{const_cast<uint8_t*>(packed.packed)};  // which is only read here
  weights.lay_out(cutter);
  SharedPart part{packed, nullptr, nullptr};
  if (packed.K_shared) {
    clickwise::CW_ISA::lay_out(part, Scratch::call);
    part.compute(x, weights.bias[0]);
  }
  const float* bias = packed.K_shared ? part.bias : weights.bias[0];
  Forward<E>{weights, bias, packed.own, packed.num_own, packed.width}.all(x, B, nullptr, y);
}

}  // namespace clickwise::CW_ISA
