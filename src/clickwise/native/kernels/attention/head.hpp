// One head of one row: attention among M vectors, whose queries, keys and values [M, d] lie in rows of `ld` floats.
//
// The shares are kept across, [M keys, M queries]: then softmax goes down the rows, for as many queries at a time as a
// register has lanes, and none of its sums is one of lanes. Rows are whole registers long: what shares hold from column
// M on, and vectors from d on, enters no other column.
#pragma once
#include "dense/slab.hpp"
#include "dense/small_product.hpp"
#include "machine/exponential.hpp"

namespace clickwise::CW_ISA::of_attention {

constexpr int64_t kHead = kLanes > 8 ? kLanes : 8;  // columns of a head are a multiple of it, and those of 4 of 32

struct Head {
  const int64_t M, d, ld;
  const int64_t across = padded(M, kLanes), width = padded(d, kHead);
  float *shares, *scores;    // [M keys, across]
  float* transposed;         // [width, across]: of queries, or of the gradient
  float *gradient, *result;  // [M, width]

  CW_INLINE Head(int64_t M, int64_t d, int64_t ld) : M(M), d(d), ld(ld) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    shares = cutter.cut<float>(M * across);
    scores = cutter.cut<float>(M * across);
    transposed = cutter.cut<float>(width * across);
    gradient = cutter.cut<float>(M * width);
    result = cutter.cut<float>(M * width);
  }

  // to[key, query] = <left of the key, right of the query>; `right` in rows of `ldr` floats.
  CW_INLINE void meet(const float* left, const float* right, int64_t ldr, float* to) const {
    transpose_rows<float>(right, ldr, M, across, width, transposed, across);
    small_product<Lies::along>(left, ld, transposed, across, M, across, d, to, across);
  }

  CW_INLINE void attend(const float* query, const float* key) const {
    meet(key, query, ld, shares);
    softmax();
  }

  // result of a query = sum over keys of `of_pair` times `from` of the key; `from` in rows of `ldf` floats.
  CW_INLINE void over_keys(const float* of_pair, const float* from, int64_t ldf) const {
    small_product<Lies::across>(of_pair, across, from, ldf, M, width, M, result, width);
  }

  // result of a key = sum over queries, likewise.
  CW_INLINE void over_queries(const float* of_pair, const float* from, int64_t ldf) const {
    small_product<Lies::along>(of_pair, across, from, ldf, M, width, M, result, width);
  }

  // shares = softmax over the keys of each query.
  CW_INLINE void softmax() const {
    for (int64_t j = 0; j < across; j += kLanes) {
      float* const x = shares + j;
      const auto at = [x, row = across](int64_t key) { return x + key * row; };
      Floats largest = load(x);
      for (int64_t key = 1; key < M; key++) {
        const Floats v = load(at(key));
        largest = v > largest ? v : largest;
      }
      Floats total{};
      for (int64_t key = 0; key < M; key++) {
        const Floats power = exponential(load(at(key)) - largest);
        store(at(key), power);
        total += power;
      }
      const Floats share = 1 / total;
      for (int64_t key = 0; key < M; key++) store(at(key), load(at(key)) * share);
    }
  }

  // scores = shares * (scores - sum over keys of shares * scores)
  CW_INLINE void through_softmax() const {
    for (int64_t j = 0; j < across; j += kLanes) {
      Floats mean{};
      for (int64_t at = j; at < M * across; at += across) mean += load(shares + at) * load(scores + at);
      for (int64_t at = j; at < M * across; at += across)
        store(scores + at, load(shares + at) * (load(scores + at) - mean));
    }
  }
};

}  // namespace clickwise::CW_ISA::of_attention
