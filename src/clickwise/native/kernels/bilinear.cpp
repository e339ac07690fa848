#include "bilinear.hpp"

#include "dense/slab.hpp"
#include "dense/small_product.hpp"
#include "machine/columns.hpp"
#include "machine/stream.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kRows = 64;        // rows whose vectors and gradients are in cache together
constexpr int64_t kPlaceRows = 256;  // rows whose gradients of W are added up in one place
constexpr int64_t kPlaces = 16;      // which are then added to grad_weight, in order
constexpr int64_t kAhead = 4;        // pairs whose gradients are asked for before they are needed

struct Store {
  template <class V>
  CW_INLINE void operator()(float* to, V x) const { store(to, x); }
};

struct Stream {
  CW_INLINE void operator()(float* to, Floats x) const { stream(to, x); }
  CW_INLINE void operator()(float* to, float x) const { *to = x; }  // never used: there are whole vectors only
};

// What all slabs of a call read: the matrices with rows of whole vectors, as they are and transposed.
struct Matrices {
  const PairSizes sizes;
  const int64_t width = padded(sizes.D, kLanes), size = sizes.D * width;
  const bool own = sizes.count == sizes.F * (sizes.F - 1) / 2;  // W for each pair
  const bool back;                                              // whether it is a backward pass
  const int64_t places;                                         // where gradients of W are added up
  float *plain, *across;                                        // [count, D, width]: W and W^T
  float* partial;                                               // [places, count, D, width]

  CW_INLINE Matrices(const PairSizes& sizes, const float* weight, bool back, int64_t places)
      : sizes(sizes), back(back), places(places) {
    clickwise::CW_ISA::lay_out(*this, Scratch::call);
    parallel_for(sizes.count, [&](int64_t w) {
      const int64_t D = sizes.D;
      clear(plain + w * size, size);
      if (back) clear(across + w * size, size);
      for (int64_t i = 0; i < D; i++) {
        for (int64_t j = 0; j < D; j++) {
          const float x = weight[(w * D + i) * D + j];
          plain[w * size + i * width + j] = x;
          if (back) across[w * size + j * width + i] = x;
        }
      }
    });
  }

  CW_INLINE void lay_out(Cutter& cutter) {
    plain = cutter.cut<float>(sizes.count * size);
    across = cutter.cut<float>(back ? sizes.count * size : 0);
    partial = cutter.cut<float>(places * sizes.count * size);
  }

  CW_INLINE int64_t of(int64_t f, int64_t pair) const { return (own ? pair : sizes.count == 1 ? 0 : f) * size; }
};

// lane i: the sum of vector i. Each step halves the number of vectors and what is left to add up.
template <int s = 1>
CW_INLINE Floats sums_across(Floats (&v)[kLanes]) {
  using Lanes = std::make_integer_sequence<int, kLanes>;
  for (int i = 0; i < kLanes; i += 2 * s) {
    const Words a = reinterpret_cast<Words>(v[i]), b = reinterpret_cast<Words>(v[i + s]);
    v[i] = reinterpret_cast<Floats>(half_exchange<false, s>(a, b, Lanes{})) +
           reinterpret_cast<Floats>(half_exchange<true, s>(a, b, Lanes{}));
  }
  if constexpr (2 * s < kLanes)
    return sums_across<2 * s>(v);
  else
    return v[0];
}

// R <= kRows rows of the batch, vector by vector: [F, kRows, width] of each.
struct PairRows {
  const Matrices& matrices;
  const int64_t first, R, F = matrices.sizes.F, D = matrices.sizes.D, width = matrices.width, one = kRows * width;
  const int64_t half = F * (F - 1) / 2 * D;  // floats of p in a row of pairs, and of q
  float *v, *grad_v;
  float *gates, *grad_gates;  // [F, kRows]
  float *left, *grad_left;    // [kRows, width]: v_f W and its gradient
  float* through_share;       // [kRows, width]: a part of the gradient of a_f a_g for each column

  CW_INLINE PairRows(const Matrices& matrices, int64_t first, int64_t R, const float* vectors, const float* gates_of)
      : matrices(matrices), first(first), R(R) {
    clickwise::CW_ISA::lay_out(*this, Scratch::task);
    for (int64_t f = 0; f < F; f++) {
      for (int64_t r = 0; r < R; r++) {
        float* to = v + f * one + r * width;
        std::memcpy(to, vectors + ((first + r) * F + f) * D, static_cast<size_t>(D) * sizeof(float));
        clear(to + D, width - D);
        gates[f * kRows + r] = gates_of[(first + r) * F + f];
      }
      clear(gates + f * kRows + R, kRows - R);
    }
  }

  CW_INLINE void lay_out(Cutter& cutter) {
    const bool back = matrices.back;
    v = cutter.cut<float>(F * one);
    gates = cutter.cut<float>(F * kRows);
    left = cutter.cut<float>(one);
    grad_v = cutter.cut<float>(back ? F * one : 0);
    grad_gates = cutter.cut<float>(back ? F * kRows : 0);
    grad_left = cutter.cut<float>(back ? one : 0);
    through_share = cutter.cut<float>(back ? one : 0);
  }

  CW_INLINE void to_the_left(int64_t f, int64_t pair) const {
    const float* w = matrices.plain + matrices.of(f, pair);
    small_product<Lies::along>(v + f * one, width, w, width, R, width, D, left, width);
  }

  // `put(to, x)` stores a vector or a number of the result.
  template <class Put>
  CW_INLINE void forward(float* pairs, const Put& put) const {
    int64_t pair = 0;
    for (int64_t f = 0; f < F - 1; f++) {
      for (int64_t g = f + 1; g < F; g++, pair++) {
        if (matrices.own || g == f + 1) to_the_left(f, pair);
        for (int64_t r = 0; r < R; r++) {
          const float *l = left + r * width, *of_g = v + g * one + r * width;
          const float share = gates[f * kRows + r] * gates[g * kRows + r];
          float* to = pairs + (first + r) * 2 * half + pair * D;
          for_columns(D, [&](auto x, int64_t d) {
            using V = decltype(x);
            const V p = load_as<V>(l + d) * load_as<V>(of_g + d);
            put(to + d, p);
            put(to + half + d, p * share);
          });
        }
      }
    }
  }

  // What the gradients of p and q of one pair give to those of v_g, of v_f W (added to it unless `fresh`), of a_f a_g.
  CW_INLINE void back_of_pair(int64_t f, int64_t g, const float* grad_pair, bool fresh) const {
    for (int64_t r = 0; r < R; r++) {
      const float share = gates[f * kRows + r] * gates[g * kRows + r];
      const float *l = left + r * width, *of_g = v + g * one + r * width;
      const float* from = grad_pair + (first + r) * 2 * half;
      float *to_g = grad_v + g * one + r * width, *to_left = grad_left + r * width;
      float* to_share = through_share + r * width;
      prefetch(from + kAhead * D);
      prefetch(from + half + kAhead * D);
      for_columns(D, [=, this](auto x, int64_t d) {
        using V = decltype(x);
        const V q = load_as<V>(from + half + d), total = load_as<V>(from + d) + share * q;
        const V by_g = total * load_as<V>(of_g + d);
        store(to_g + d, load_as<V>(to_g + d) + total * load_as<V>(l + d));
        store(to_left + d, fresh ? by_g : load_as<V>(to_left + d) + by_g);
        store(to_share + d, q * load_as<V>(l + d) * load_as<V>(of_g + d));
      });
    }
  }

  // The gradients of a_f and a_g from that of their product.
  CW_INLINE void back_to_gates(int64_t f, int64_t g) const {
    for (int64_t r = 0; r < R; r += kLanes) {
      Floats parts[kLanes];
      for (int i = 0; i < kLanes; i++) {
        parts[i] = Floats{};
        for (int64_t d = 0; d < width; d += kLanes) parts[i] += load(through_share + (r + i) * width + d);
      }
      const Floats gradient = sums_across(parts);
      float *of_f = grad_gates + f * kRows + r, *of_g = grad_gates + g * kRows + r;
      store(of_f, load(of_f) + gradient * load(gates + g * kRows + r));
      store(of_g, load(of_g) + gradient * load(gates + f * kRows + r));
    }
  }

  // Adds the gradients of the matrices to grad_w [count, D, width].
  void backward(const float* grad_pairs, float* grad_vectors, float* grad_gates_of, float* grad_w) const {
    clear(grad_v, F * one);
    clear(grad_gates, F * kRows);
    clear(grad_left, one);
    clear(through_share, one);
    int64_t pair = 0;
    for (int64_t f = 0; f < F - 1; f++) {
      for (int64_t g = f + 1; g < F; g++, pair++) {
        const int64_t w = matrices.of(f, pair);
        const bool fresh = matrices.own || g == f + 1, last = matrices.own || g == F - 1;
        if (fresh) to_the_left(f, pair);
        back_of_pair(f, g, grad_pairs + pair * D, fresh);
        if (grad_gates_of) back_to_gates(f, g);
        if (last && grad_vectors)
          small_product<Lies::along, true>(grad_left, width, matrices.across + w, width, R, width, D, grad_v + f * one,
                                           width);
        if (last && grad_w)
          small_product<Lies::across, true>(v + f * one, width, grad_left, width, D, width, R, grad_w + w, width);
      }
    }
    for (int64_t r = 0; r < R; r++) {
      for (int64_t f = 0; f < F; f++) {
        const int64_t at = (first + r) * F + f;
        if (grad_vectors)
          std::memcpy(grad_vectors + at * D, grad_v + f * one + r * width, static_cast<size_t>(D) * sizeof(float));
        if (grad_gates_of) grad_gates_of[at] = grad_gates[f * kRows + r];
      }
    }
  }
};

void forward(const PairSizes& sizes, const float* vectors, const float* gates, const float* weight, float* pairs) {
  const Matrices matrices(sizes, weight, false, 0);
  const bool streams = streamable(pairs, sizes.B * sizes.F * (sizes.F - 1), sizes.D);
  parallel_for(pieces(sizes.B, kRows), [&](int64_t i) {
    const PairRows rows(matrices, i * kRows, smaller(kRows, sizes.B - i * kRows), vectors, gates);
    if (streams) {
      rows.forward(pairs, Stream{});
      end_stream();
    } else {
      rows.forward(pairs, Store{});
    }
  });
}

void backward(const PairSizes& sizes, const float* vectors, const float* gates, const float* weight,
              const float* grad_pairs, float* grad_vectors, float* grad_gates, float* grad_weight) {
  const Matrices matrices(sizes, weight, true, grad_weight ? smaller(kPlaces, pieces(sizes.B, kPlaceRows)) : 0);
  const int64_t size = matrices.size, all = sizes.count * size, D = sizes.D;
  if (grad_weight) clear(grad_weight, sizes.count * D * D);
  for (int64_t begin = 0; begin < sizes.B; begin += kPlaces * kPlaceRows) {
    const int64_t places = smaller(kPlaces, pieces(sizes.B - begin, kPlaceRows));
    parallel_for(places, [&](int64_t i) {
      const int64_t first = begin + i * kPlaceRows, end = smaller(first + kPlaceRows, sizes.B);
      float* partial = grad_weight ? matrices.partial + i * all : nullptr;
      if (partial) clear(partial, all);
      for (int64_t r = first; r < end; r += kRows)
        PairRows(matrices, r, smaller(kRows, end - r), vectors, gates)
            .backward(grad_pairs, grad_vectors, grad_gates, partial);
    });
    if (!grad_weight) continue;
    parallel_for(sizes.count, [&](int64_t w) {
      for (int64_t i = 0; i < places; i++) {
        const float* from = matrices.partial + i * all + w * size;
        for (int64_t k = 0; k < D; k++) add_multiple(1, from + k * matrices.width, D, grad_weight + (w * D + k) * D);
      }
    });
  }
}

}  // namespace

extern const BilinearKernels bilinear;
const BilinearKernels bilinear{forward, backward};

}  // namespace clickwise::CW_ISA
