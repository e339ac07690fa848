// Gradients of a tower, by chunks of the batch. Of each chunk first, slab by slab, the gradients G_l of the layers'
// results before ReLU, from the last layer down; then, block by block of each dW_l, dW_l += G_l^T X_l. A sum over rows
// is always made in the order of the rows, whoever makes it.
#pragma once
#include "dense/slab.hpp"

namespace clickwise::CW_ISA {

constexpr int64_t kChunk = 2048;

template <class E>
struct Backward {
  static constexpr int64_t kBlockN = 8 * Tile<E>::rows, kBlockK = 160;  // of dW, for one task

  const DenseTower& tower;
  const float *x, *y, *grad_y;
  float* grad_x;
  const Saved<E>& saved;
  int64_t lowest = 0;            // no gradient is asked for below this layer
  E* weight[kMostLayers];        // W [N, K] in panels
  E* grad[kMostLayers];          // of a chunk: G^T, rows of `ldt` elements
  E* input[kMostLayers];         // of a chunk: X [rows, K] in panels
  float* partial[kMostLayers];   // of a chunk, of a narrow layer: dW [N, padded K] and db [N] of each slab
  const int64_t ldt = stride<E>(kChunk);

  CW_INLINE Backward(const DenseTower& tower, const float* x, const float* y, const float* grad_y, float* grad_x,
                     const Saved<E>& saved)
      : tower(tower), x(x), y(y), grad_y(grad_y), grad_x(grad_x), saved(saved) {
    while (!grad_x && lowest < tower.count && !asked(lowest)) lowest++;
    clickwise::CW_ISA::lay_out(*this, Scratch::call);
    const auto panels = [&](int64_t l) { return weight[l] ? pieces(tower.layers[l].K, kPanel) : 0; };
    for_each_piece(tower.count, panels, [&](int64_t l, int64_t p) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N;
      pack(layer.weight, K, N, padded(N), K, weight[l], panel_size(N), p, p + 1);
    });
  }

  CW_INLINE bool asked(int64_t l) const { return tower.layers[l].grad_weight || tower.layers[l].grad_bias; }
  CW_INLINE bool goes_down(int64_t l) const { return l > lowest || (l == 0 && grad_x); }

  CW_INLINE void lay_out(Cutter& cutter) {
    for (int64_t l = 0; l < tower.count; l++) {
      const int64_t K = tower.layers[l].K, N = tower.layers[l].N;
      const bool wide = !narrow(tower, l);
      weight[l] = wide && goes_down(l) ? cutter.cut<E>(panels_size(N, K)) : nullptr;
      grad[l] = wide && asked(l) ? cutter.cut<E>(padded(N) * ldt) : nullptr;
      input[l] = wide && asked(l) ? cutter.cut<E>(panels_size(kChunk, K)) : nullptr;
      partial[l] = !wide && asked(l) ? cutter.cut<float>(kChunk / kSlab * partial_size(l)) : nullptr;
    }
  }

  CW_INLINE int64_t partial_size(int64_t l) const { return (padded(tower.layers[l].K) + 1) * tower.layers[l].N; }

  // Phase 1, rows [first, first + R) of the batch, which lie `offset` rows into a chunk of `chunk` rows.
  void slab(int64_t first, int64_t R, int64_t offset, int64_t chunk) const {
    const Tiles tiles;
    const SlabRows<E> slab(tower);
    int turn = 0;
    for (int64_t l = tower.count - 1; l >= lowest; l--) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N, ld = stride<E>(K);
      E* below = slab.rows[turn ^ 1];
      const E* active = l ? saved.rows[l - 1] + first * ld : nullptr;
      Mask<E> mask{nullptr, 1, below, ld};
      if (l && tower.layers[l - 1].relu) mask = {active, 1 / (1 - tower.layers[l - 1].dropout), below, ld};
      if (narrow(tower, l)) {
        if (!l) to_rows(x + first * K, R, K, slab.rows[turn]);
        if (partial[l]) outer_products(l, first, R, l ? active : slab.rows[turn], partial[l] + offset / kSlab * partial_size(l));
        if (goes_down(l)) from_narrow(l, first, R, mask);
      } else {
        E* g = slab.rows[turn];
        if (l == tower.count - 1) last_gradient(first, R, g);
        if (grad[l]) {
          const int64_t panel = panel_size(chunk), all_panels = pieces(K, kPanel);
          transpose_rows(g, stride<E>(N), R, padded(R), N, grad[l] + offset, ldt);
          if (l)
            pack(active, ld, R, padded(R), K, input[l] + offset * kPanel, panel, 0, all_panels);
          else
            pack(x + first * K, K, R, padded(R), K, input[l] + offset * kPanel, panel, 0, all_panels);
        }
        if (goes_down(l) && l) {
          product(g, stride<E>(N), R, weight[l], N, K, mask);
          end_rows(below, R, K);
        } else if (goes_down(l)) {
          product(g, stride<E>(N), R, weight[l], N, K, Write<E>{false, grad_x + first * K, K, K});
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

  // dW and db of a narrow layer, of one slab with inputs `a`.
  CW_INLINE void outer_products(int64_t l, int64_t first, int64_t R, const E* a, float* to) const {
    constexpr int step = 32 / kLanes;
    const int64_t K = tower.layers[l].K, N = tower.layers[l].N, ld = stride<E>(K);
    const float* g = grad_y + first * N;
    for (int64_t n = 0; n < N; n++) {
      for (int64_t k = 0; k < K; k += 32) {
        Floats sums[step]{};
        for (int64_t r = 0; r < R; r++) {
          for (int i = 0; i < step; i++) sums[i] += all(g[r * N + n]) * load(a + r * ld + k + i * kLanes);
        }
        for (int i = 0; i < step; i++) store(to + n * padded(K) + k + i * kLanes, sums[i]);
      }
      float bias = 0;
      for (int64_t r = 0; r < R; r++) bias += g[r * N + n];
      to[N * padded(K) + n] = bias;
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

  CW_INLINE int64_t blocks(int64_t l) const {
    if (!asked(l)) return 0;
    return narrow(tower, l) ? 1 : pieces(tower.layers[l].N, kBlockN) * pieces(tower.layers[l].K, kBlockK);
  }

  // Phase 2, block `i` of layer l's dW; `add` to what earlier chunks gave.
  void block(int64_t l, int64_t i, int64_t chunk, bool add) const {
    const DenseLayer& layer = tower.layers[l];
    const int64_t K = layer.K, N = layer.N;
    if (narrow(tower, l)) {
      sum_partials(l, pieces(chunk, kSlab), add);
      return;
    }
    const Tiles tiles;
    const int64_t across = pieces(N, kBlockN);
    const int64_t n = i % across * kBlockN, k = i / across * kBlockK, width = smaller(kBlockK, K - k);
    const int64_t height = smaller(kBlockN, N - n);
    if (layer.grad_weight)
      product(grad[l] + n * ldt, ldt, height, input[l] + k / kPanel * panel_size(chunk), chunk, width,
              Write<E>{add, layer.grad_weight + n * K + k, K, width});
    for (int64_t m = n; layer.grad_bias && k == 0 && m < n + height; m++) {
      Floats total{};
      for (int64_t r = 0; r < padded(chunk); r += kLanes) total += load(grad[l] + m * ldt + r);
      layer.grad_bias[m] = (add ? layer.grad_bias[m] : 0) + sum(total);
    }
  }

  CW_INLINE void sum_partials(int64_t l, int64_t slabs, bool add) const {
    const DenseLayer& layer = tower.layers[l];
    const int64_t K = layer.K, N = layer.N, width = padded(K);
    for (int64_t s = 0; s < slabs; s++) {
      const float* from = partial[l] + s * partial_size(l);
      const bool more = add || s;
      for (int64_t n = 0; n < N; n++) {
        for (int64_t k = 0; layer.grad_weight && k < K; k++)
          layer.grad_weight[n * K + k] = (more ? layer.grad_weight[n * K + k] : 0) + from[n * width + k];
        if (layer.grad_bias) layer.grad_bias[n] = (more ? layer.grad_bias[n] : 0) + from[N * width + n];
      }
    }
  }
};

template <class E>
CW_INLINE void backward(const DenseTower& tower, const float* x, int64_t B, const uint8_t* memory, const float* y,
                        const float* grad_y, float* grad_x) {
  if (B == 0) {
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      if (layer.grad_weight) std::memset(layer.grad_weight, 0, static_cast<uint64_t>(layer.N * layer.K) * sizeof(float));
      if (layer.grad_bias) std::memset(layer.grad_bias, 0, static_cast<uint64_t>(layer.N) * sizeof(float));
    }
    return;
  }
  Cutter cutter{const_cast<uint8_t*>(memory)};
  const Saved<E> saved(tower, B, cutter);
  const Backward<E> plan(tower, x, y, grad_y, grad_x, saved);
  for (int64_t begin = 0; begin < B; begin += kChunk) {
    const int64_t chunk = smaller(kChunk, B - begin);
    parallel_for(pieces(chunk, kSlab), [&](int64_t i) {
      plan.slab(begin + i * kSlab, smaller(kSlab, chunk - i * kSlab), i * kSlab, chunk);
    });
    for_each_piece(tower.count, [&](int64_t l) { return plan.blocks(l); },
                   [&](int64_t l, int64_t i) { plan.block(l, i, chunk, begin > 0); });
  }
}

}  // namespace clickwise::CW_ISA
