// Gradients of a tower, slab by slab from the last layer down.
#pragma once
#include "dense/gradients.hpp"

namespace clickwise::CW_ISA {

template <class E>
struct Backward {
  const DenseTower& tower;
  const float *x, *y, *grad_y;
  float* grad_x;
  const Saved<E>& saved;
  const Gradients<E>& gradients;
  const bool streams;  // grad_x

  void slab(const Part& part) const {
    const Tiles tiles;
    const SlabRows<E> slab(tower);
    const int64_t first = part.first, R = part.R;
    int turn = 0;
    for (int64_t l = tower.count - 1; l >= gradients.lowest; l--) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N, ld = stride<E>(K);
      E *g = slab.rows[turn], *below = slab.rows[turn ^ 1];
      const E* active = l ? saved.rows[l - 1] + first * ld : nullptr;
      Mask<E> mask{nullptr, 1, below, ld};
      if (l && tower.layers[l - 1].relu) mask = {active, 1 / (1 - tower.layers[l - 1].dropout), below, ld};
      if (narrow(tower, l)) {
        if (!l) to_rows(x + first * K, R, K, g);
        gradients.keep_narrow(l, part, grad_y + first * N, l ? active : g);
        if (gradients.goes_down(l)) from_narrow(l, first, R, mask);
      } else {
        if (l == tower.count - 1) last_gradient(first, R, g);
        if (l)
          gradients.keep(l, part, g, active, ld);
        else
          gradients.keep(l, part, g, x + first * K, K);
        if (gradients.goes_down(l) && l) {
          product(g, stride<E>(N), R, gradients.weight[l], N, K, mask);
          end_rows(below, R, K);
        } else if (gradients.goes_down(l)) {
          product(g, stride<E>(N), R, gradients.weight[l], N, K,
                  Write<E>{false, grad_x + first * K, K, K, streams});
          if (streams) end_stream();
        }
      }
      turn ^= 1;
    }
  }

  // G of a wide last layer, as rows.
  CW_INLINE void last_gradient(int64_t first, int64_t R, E* to) const {
    const DenseLayer& layer = tower.layers[tower.count - 1];
    const int64_t N = layer.N, ld = stride<E>(N);
    const float scale = 1 / (1 - layer.dropout);
    to_rows(grad_y + first * N, R, N, to);
    for (int64_t r = 0; layer.relu && r < R; r++) {
      const float *g = grad_y + (first + r) * N, *active = y + (first + r) * N;
      for (int64_t n = 0; n < N; n += kLanes) {
        const Floats v = load_first(active + n, N - n) != 0.0f ? load_first(g + n, N - n) * scale : Floats{};
        store(to + r * ld + n, v);
      }
    }
  }

  // The gradient of a narrow layer's input.
  CW_INLINE void from_narrow(int64_t l, int64_t first, int64_t R, const Mask<E>& mask) const {
    const int64_t K = tower.layers[l].K, N = tower.layers[l].N;
    for (int64_t r = 0; r < R; r++) {
      for (int64_t k = 0; k < padded(K); k += kLanes) {
        Floats v{};
        for (int64_t n = 0; n < N && k < K; n++)
          v += all(grad_y[(first + r) * N + n]) * load_first(tower.layers[l].weight + n * K + k, K - k);
        if (l)
          store(mask.to + r * mask.ld + k, mask.passed(r * mask.ld + k, v));
        else if (k < K)
          store_first(grad_x + (first + r) * K + k, v, K - k);
      }
    }
  }
};

template <class E>
CW_INLINE void backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* memory, const float* y,
                        const float* grad_y, float* grad_x) {
  Cutter cutter{const_cast<uint8_t*>(memory)};  // which is only read here
  const Saved<E> saved(tower, B, cutter);
  const Gradients<E> gradients(tower, grad_x != nullptr);
  const bool streams = streamable(grad_x, B, tower.layers[0].K);
  const Backward<E> plan{tower, x, y, grad_y, grad_x, saved, gradients, streams};
  gradients.run(B, [&](const Part& part) { plan.slab(part); });
}

}  // namespace clickwise::CW_ISA
