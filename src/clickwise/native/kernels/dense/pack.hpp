// From matrices in memory to the two layouts of an operand (layout.hpp), and from rows to rows of the transpose.
#pragma once
#include <utility>

#include "dense/layout.hpp"
#include "machine/stream.hpp"

namespace clickwise::CW_ISA {

// The bits of kLanes bf16 in the lower halves of words; of floats, rounded first.
CW_INLINE Words half_bits(const bf16* from, int64_t) {
  Halves h;
  std::memcpy(&h, from, sizeof h);
  return __builtin_convertvector(h, Words);
}

CW_INLINE Words half_bits(const float* from, int64_t count) {
  bf16 rounded[kLanes];
  store(rounded, load_first(from, count));
  return half_bits(rounded, kLanes);
}

// Words of kLanes columns of one step of k, where k runs over rows: a float, or the pair of bf16 of two rows. Columns
// from `count` on are zero (rows of bf16 are padded, and hold zeros there themselves); so is a row that is null.
template <class E, class S>
CW_INLINE Words words_of_rows(const S* row, const S* next, int64_t count) {
  if constexpr (kPair<E> == 1) {
    return row ? reinterpret_cast<Words>(load_first(row, count)) : Words{};
  } else {
    const Words low = row ? half_bits(row, count) : Words{};
    return next ? low | half_bits(next, count) << 16 : low;
  }
}

template <bool second, int s, int... lane>
CW_INLINE Words half_exchange(Words a, Words b, std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(
      a, b, (second ? (lane & s ? kLanes + lane : lane + s) : (lane & s ? kLanes + lane - s : lane))...);
}

// kLanes x kLanes words, transposed: blocks of s x s change places across the diagonal, for s = 1, 2, 4, ..
template <int s = 1>
CW_INLINE void transpose(Words (&v)[kLanes]) {
  using Lanes = std::make_integer_sequence<int, kLanes>;
  CW_UNROLL
  for (int i = 0; i < kLanes; i++) {
    if (i & s) continue;
    const Words a = v[i], b = v[i + s];
    v[i] = half_exchange<false, s>(a, b, Lanes{});
    v[i + s] = half_exchange<true, s>(a, b, Lanes{});
  }
  if constexpr (2 * s < kLanes) transpose<2 * s>(v);
}

// Panels [first, last) of `from` [K, N], row-major with `ld` elements a row: k runs over its rows. Rows from K to `end`
// become zeros. `streams`: past the caches (machine/stream.hpp).
template <class E, class S>
CW_INLINE void pack(const S* from, int64_t ld, int64_t K, int64_t end, int64_t N, E* to, int64_t panel, int64_t first,
                    int64_t last, bool streams = false) {
  constexpr int64_t kRows = 16;  // a few rows at a time, so that each is read along its lines
  for (int64_t begin = 0; begin < end; begin += kRows) {
    for (int64_t p = first; p < last; p++) {
      for (int j = 0; j < kPanel; j += kLanes) {
        const int64_t column = p * kPanel + j, count = N - column;
        for (int64_t k = begin; k < smaller(begin + kRows, end); k += kPair<E>) {
          const S* row = k < K && count > 0 ? from + k * ld + column : nullptr;
          const Words w = words_of_rows<E>(row, row && k + 1 < K ? row + ld : nullptr, count);
          E* at = to + p * panel + k * kPanel + j * kPair<E>;
          if (streams)
            stream(reinterpret_cast<float*>(at), reinterpret_cast<Floats>(w));
          else
            std::memcpy(at, &w, sizeof w);
        }
      }
    }
  }
  if (streams) end_stream();
}

// Panel p of the transpose of `from` [N, K], row-major and dense: k runs along its rows.
template <class E>
CW_INLINE void pack_transpose(const float* from, int64_t N, int64_t K, E* to, int64_t p) {
  constexpr int step = kLanes * kPair<E>;
  to += p * panel_size(K);
  for (int64_t k = 0; k < padded(K); k += step) {
    for (int j = 0; j < kPanel; j += kLanes) {
      Words v[kLanes];
      for (int i = 0; i < kLanes; i++) {
        const int64_t n = p * kPanel + j + i;
        E row[step] = {};
        for (int64_t h = 0; h < step && n < N && k + h < K; h += kLanes)
          store(row + h, load_first(from + n * K + k + h, K - k - h));
        std::memcpy(&v[i], row, sizeof v[i]);
      }
      transpose(v);
      for (int i = 0; i < kLanes; i++) std::memcpy(to + (k + i * kPair<E>) * kPanel + j * kPair<E>, &v[i], sizeof v[i]);
    }
  }
}

// Rows [0, R) of `from` [R, N], in rows, as columns of `to` [N, ..] with `ldt` elements a row. Columns from R to `end`,
// a multiple of 32, become zeros.
template <class E>
CW_INLINE void transpose_rows(const E* from, int64_t ld, int64_t R, int64_t end, int64_t N, E* to, int64_t ldt) {
  constexpr int step = kLanes * kPair<E>;
  for (int64_t r = 0; r < end; r += step) {
    for (int64_t n = 0; n < N; n += kLanes) {
      Words v[kLanes];
      for (int i = 0; i < kLanes; i++) {
        const int64_t row = r + i * kPair<E>;
        const E* at = from + row * ld + n;
        v[i] = words_of_rows<E>(row < R ? at : nullptr, row + 1 < R ? at + ld : nullptr, kLanes);
      }
      transpose(v);
      for (int i = 0; i < kLanes; i++) std::memcpy(to + (n + i) * ldt + r, &v[i], sizeof v[i]);
    }
  }
}

}  // namespace clickwise::CW_ISA
