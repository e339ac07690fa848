// The weights of a tower as its products read them.
#pragma once
#include "dense/slab.hpp"

namespace clickwise::CW_ISA {

template <class E>
struct Packed {
  const DenseTower& tower;
  E* weight[kMostLayers];    // W^T [K, N] in panels; null for a narrow layer
  float* bias[kMostLayers];  // zeros behind N, up to a multiple of 32

  CW_INLINE explicit Packed(const DenseTower& tower) : tower(tower) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      weight[l] = narrow(tower, l) ? nullptr : cutter.cut<E>(panels_size(layer.K, layer.N));
      bias[l] = cutter.cut<float>(padded(layer.N));
    }
  }

  CW_INLINE void fill() const {
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
};

}  // namespace clickwise::CW_ISA
