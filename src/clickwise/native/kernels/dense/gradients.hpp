// Gradients of linear layers' weights, by chunks of the batch. Of each chunk first, slab by slab, the gradients G_l of the
// layers' results (before ReLU) are kept, and the inputs X_l; then, block by block of each dW_l, dW_l += G_l^T X_l. A sum
// over rows is always made in the order of the rows, whoever makes it.
#pragma once
#include "dense/slab.hpp"

namespace clickwise::CW_ISA {

constexpr int64_t kChunk = 2048;

// Rows [first, first + R) of the batch, a slab, which lie `offset` rows into a chunk of `chunk` rows.
struct Part {
  int64_t first, R, offset, chunk;
};

template <class E>
struct Gradients {
  static constexpr int64_t kBlockN = 8 * Tile<E>::rows, kBlockK = 160;  // of dW, for one task

  const DenseTower& tower;
  const bool to_x;               // whether the gradient of x is asked for
  int64_t lowest = 0;            // no gradient is asked for below this layer
  E* weight[kMostLayers];        // W [N, K] in panels
  E* grad[kMostLayers];          // of a chunk: G^T, rows of `ldt` elements
  E* input[kMostLayers];         // of a chunk: X [rows, K] in panels
  float* partial[kMostLayers];   // of a chunk, of a narrow layer: dW [N, padded K] and db [N] of each slab
  const int64_t ldt = stride<E>(kChunk);

  CW_INLINE Gradients(const DenseTower& tower, bool to_x) : tower(tower), to_x(to_x) {
    while (!to_x && lowest < tower.count && !asked(lowest)) lowest++;
    clickwise::CW_ISA::lay_out(*this, Scratch::call);
    const auto panels = [&](int64_t l) { return weight[l] ? pieces(tower.layers[l].K, kPanel) : 0; };
    for_each_piece(tower.count, panels, [&](int64_t l, int64_t p) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t K = layer.K, N = layer.N;
      pack(layer.weight, K, N, padded(N), K, weight[l], panel_size(N), p, p + 1);
    });
  }

  CW_INLINE bool asked(int64_t l) const { return tower.layers[l].grad_weight || tower.layers[l].grad_bias; }
  CW_INLINE bool goes_down(int64_t l) const { return l > lowest || (l == 0 && to_x); }

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

  // G as rows, and X, of one slab. X is in rows, or in fp32 as dense as `ldx` says.
  template <class X>
  CW_INLINE void keep(int64_t l, const Part& part, const E* g, const X* x, int64_t ldx) const {
    if (!grad[l]) return;
    const int64_t K = tower.layers[l].K, N = tower.layers[l].N, R = part.R;
    transpose_rows(g, stride<E>(N), R, padded(R), N, grad[l] + part.offset, ldt);
    pack(x, ldx, R, padded(R), K, input[l] + part.offset * kPanel, panel_size(part.chunk), 0, pieces(K, kPanel),
         far(panels_size(part.chunk, K) * static_cast<int64_t>(sizeof(E))));
  }

  // The same of a narrow layer with inputs `a` in rows and G [R, N] in fp32: dW and db of this slab.
  CW_INLINE void keep_narrow(int64_t l, const Part& part, const float* g, const E* a) const {
    if (!partial[l]) return;
    constexpr int step = 32 / kLanes;
    const int64_t K = tower.layers[l].K, N = tower.layers[l].N, R = part.R, ld = stride<E>(K);
    float* to = partial[l] + part.offset / kSlab * partial_size(l);
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

  CW_INLINE int64_t blocks(int64_t l) const {
    if (!asked(l)) return 0;
    return narrow(tower, l) ? 1 : pieces(tower.layers[l].N, kBlockN) * pieces(tower.layers[l].K, kBlockK);
  }

  // Block `i` of layer l's dW; `add` to what earlier chunks gave.
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

  // dW and db of the whole batch: slab(part) does what comes first, of each slab.
  template <class Slab>
  CW_INLINE void run(int64_t B, const Slab& slab) const {
    if (B == 0) clear();
    for (int64_t begin = 0; begin < B; begin += kChunk) {
      const int64_t chunk = smaller(kChunk, B - begin);
      parallel_for(pieces(chunk, kSlab), [&](int64_t i) {
        slab(Part{begin + i * kSlab, smaller(kSlab, chunk - i * kSlab), i * kSlab, chunk});
      });
      for_each_piece(tower.count, [&](int64_t l) { return blocks(l); },
                     [&](int64_t l, int64_t i) { block(l, i, chunk, begin > 0); });
    }
  }

  CW_INLINE void clear() const {
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      if (layer.grad_weight) std::memset(layer.grad_weight, 0, static_cast<uint64_t>(layer.N * layer.K) * sizeof(float));
      if (layer.grad_bias) std::memset(layer.grad_bias, 0, static_cast<uint64_t>(layer.N) * sizeof(float));
    }
  }
};

}  // namespace clickwise::CW_ISA
