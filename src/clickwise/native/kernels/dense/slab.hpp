// How a tower is cut: rows of the batch into slabs, memory into the pieces that a call needs.
#pragma once
#include "machine/pool.hpp"
#include "machine/scratch.hpp"
#include "dense/pack.hpp"
#include "dense/sinks.hpp"
#include "dense/tower.hpp"

namespace clickwise::CW_ISA {

// A slab goes through all layers while its activations are in the second-level cache. It is a multiple of 32 rows.
constexpr int64_t kSlab = 128;

// A tower's last layer of so few outputs is computed by dot products: a tile of it would be mostly padding. Its weights and
// gradients stay fp32.
constexpr int64_t kNarrow = 4;

CW_INLINE bool narrow(const DenseTower& tower, int64_t l) {
  const DenseLayer& layer = tower.layers[l];
  return !tower.links && l == tower.count - 1 && layer.N <= kNarrow && !layer.relu;
}

// Cuts pieces of memory, each on a line of its own; without memory it only counts.
struct Cutter {
  uint8_t* memory = nullptr;
  int64_t used = 0;

  template <class T>
  CW_INLINE T* cut(int64_t count) {
    T* piece = memory ? reinterpret_cast<T*>(memory + used) : nullptr;
    used += padded(count * static_cast<int64_t>(sizeof(T)), 64);
    return piece;
  }
};

// plan.lay_out(cutter) twice: to count, and then to cut from the thread's scratch memory.
template <class Plan>
CW_INLINE void lay_out(Plan& plan, Scratch store) {
  Cutter cutter;
  plan.lay_out(cutter);
  cutter = {scratch(store, cutter.used)};
  plan.lay_out(cutter);
}

// The activations that `forward` keeps: for each layer but the last, padded(B) rows of its N columns.
template <class E>
struct Saved {
  E* rows[kMostLayers];

  CW_INLINE Saved(const DenseTower& tower, int64_t B, Cutter& cutter) {
    for (int64_t l = 0; l + 1 < tower.count; l++)
      rows[l] = cutter.cut<E>(padded(B) * stride<E>(tower.layers[l].N));
  }
};

// Some columns of rows [0, R) of `from`, `width` floats a row, as rows of E: those of the runs, side by side, W in all.
template <class E>
CW_INLINE void to_rows(const float* from, int64_t width, const Run* runs, int64_t count, int64_t R, int64_t W, E* to) {
  for (int64_t r = 0; r < R; r++) {
    E* at = to + r * stride<E>(W);
    E* const end = at + padded(W);
    for (int64_t i = 0; i < count; i++) {
      const float *x = from + r * width + runs[i].first, *const behind = from + r * width + runs[i].last;
      for (; x + kLanes <= behind; x += kLanes, at += kLanes) store(at, load(x));
      for (; x < behind; x++) put(at++, *x);
    }
    while (at < end) put(at++, 0.0f);
  }
}

// All W columns.
template <class E>
CW_INLINE void to_rows(const float* from, int64_t R, int64_t W, E* to) {
  const Run all{0, W};
  to_rows(from, W, &all, 1, R, W, to);
}

// Zeros behind the W columns of rows that a product has written up to the end of its last panel.
template <class E>
CW_INLINE void end_rows(E* rows, int64_t R, int64_t W) {
  for (int64_t r = 0; r < R; r++) {
    for (int64_t k = padded(W, kPanel); k < padded(W); k++) rows[r * stride<E>(W) + k] = 0;
  }
}

// Two slabs of rows for the widest layer, which take turns as input and output; and [kSlab, `sums` columns] in fp32.
template <class E>
struct SlabRows {
  E* rows[2];
  float* total;
  int64_t width = 0;
  const int64_t sums;

  CW_INLINE explicit SlabRows(const DenseTower& tower, int64_t sums = 0) : sums(sums) {
    for (int64_t l = 0; l < tower.count; l++) {
      const DenseLayer& layer = tower.layers[l];
      const int64_t widest = stride<E>(layer.K > layer.N ? layer.K : layer.N);
      width = widest > width ? widest : width;
    }
    clickwise::CW_ISA::lay_out(*this, Scratch::task);
  }

  CW_INLINE void lay_out(Cutter& cutter) {
    for (E*& r : rows) r = cutter.cut<E>(kSlab * width);
    total = cutter.cut<float>(kSlab * sums);
  }
};

// f(l, i) for i in [0, size(l)) of each layer l, in parallel.
template <class Size, class F>
CW_INLINE void for_each_piece(int64_t layers, const Size& size, const F& f) {
  int64_t total = 0;
  for (int64_t l = 0; l < layers; l++) total += size(l);
  parallel_for(total, [&](int64_t i) {
    int64_t l = 0;
    while (i >= size(l)) i -= size(l++);
    f(l, i);
  });
}

}  // namespace clickwise::CW_ISA
