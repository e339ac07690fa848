#include "cross.hpp"

#include "machine/columns.hpp"
#include "machine/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int kGroup = 4;  // rows that share the loads of w and of the sums

CW_INLINE int64_t end_of(int64_t block, int64_t B) {
  return (block + 1) * kCrossRows < B ? (block + 1) * kCrossRows : B;
}

// to[i] = x_i . y for `rows` rows x, d apart.
template <int rows>
CW_INLINE void dots(const float* x, const float* y, int64_t d, float* to) {
  Floats totals[rows] = {};
  int64_t j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    const Floats v = load(y + j);
    for (int i = 0; i < rows; i++) totals[i] += load(x + i * d + j) * v;
  }
  for (int i = 0; i < rows; i++) {
    to[i] = sum(totals[i]);
    for (int64_t k = j; k < d; k++) to[i] += x[i * d + k] * y[k];
  }
}

CW_INLINE float dot(const float* x, const float* y, int64_t d) {
  float product;
  dots<1>(x, y, d, &product);
  return product;
}

CW_INLINE float next_multiple(float a, float p, float e) { return a * (1 + p) + e; }

template <int rows>
CW_INLINE void forward_rows(const float* x0, const float* w, const float* c, const float* e, int64_t L, int64_t d,
                       float* out, float* p) {
  float products[rows], a[rows];
  for (int i = 0; i < rows; i++) a[i] = 1;
  for (int64_t l = 0; l < L; l++) {
    dots<rows>(x0, w + l * d, d, products);
    for (int i = 0; i < rows; i++) {
      p[i * L + l] = products[i];
      a[i] = next_multiple(a[i], products[i], e[l]);
    }
  }
  for (int i = 0; i < rows; i++)
    for_columns(d, [=](auto v, int64_t j) {
      using V = decltype(v);
      store(out + i * d + j, a[i] * load_as<V>(x0 + i * d + j) + load_as<V>(c + j));
    });
}

void forward(const float* x0, const float* w, const float* b, int64_t B, int64_t L, int64_t d, float* out, float* p,
                float* c, float* e) {
  clear(c, d);
  for (int64_t l = 0; l < L; l++) {
    e[l] = dot(c, w + l * d, d);
    add_multiple(1, b + l * d, d, c);
  }
  parallel_for(cross_blocks(B), [=](int64_t block) {
    const int64_t end = end_of(block, B);
    int64_t r = block * kCrossRows;
    for (; r + kGroup <= end; r += kGroup) forward_rows<kGroup>(x0 + r * d, w, c, e, L, d, out + r * d, p + r * L);
    for (; r < end; r++) forward_rows<1>(x0 + r * d, w, c, e, L, d, out + r * d, p + r * L);
  });
}

// What one block of rows adds to the sums over the batch, and room for the scalars of a group of rows.
struct Sums {
  float* x0;      // [L, d] sum_b t_l a_l x_0
  float* g;       // [d] sum_b g
  float* t;       // [L] sum_b t_l
  float* ta;      // [kGroup, L] t_l a_l
  float* a_last;  // [kGroup] a_L

  CW_INLINE Sums(float* scratch, int64_t L, int64_t d)
      : x0(scratch), g(x0 + L * d), t(g + d), ta(t + L), a_last(ta + kGroup * L) {}
};

// ta and a_L of row i of a group, from p [L] and t_{L-1} = g . x_0.
CW_INLINE void scalars(const float* p, const float* e, float t, int64_t L, int64_t i, Sums& sums) {
  float* ta = sums.ta + i * L;
  float a = 1;
  for (int64_t l = 0; l < L; l++) {
    ta[l] = a;
    a = next_multiple(a, p[l], e[l]);
  }
  sums.a_last[i] = a;
  for (int64_t l = L - 1; l >= 0; l--) {
    ta[l] *= t;
    sums.t[l] += t;
    t += t * p[l];
  }
}

// Columns [j, j + width of V) of a group of rows: grad_x0, and the sums over the rows.
template <class V, int rows>
CW_INLINE void backward_columns(const float* g, const float* x0, const float* w, int64_t L, int64_t d, int64_t j,
                          const Sums& sums, float* grad_x0) {
  V x[rows], grad[rows], total = load_as<V>(sums.g + j);
  for (int i = 0; i < rows; i++) {
    const V gradient = load_as<V>(g + i * d + j);
    x[i] = load_as<V>(x0 + i * d + j);
    grad[i] = gradient * sums.a_last[i];
    total += gradient;
  }
  store(sums.g + j, total);
  for (int64_t l = 0; l < L; l++) {
    const V weight = load_as<V>(w + l * d + j);
    V into = load_as<V>(sums.x0 + l * d + j);
    for (int i = 0; i < rows; i++) {
      const float ta = sums.ta[i * L + l];
      grad[i] += ta * weight;
      into += ta * x[i];
    }
    store(sums.x0 + l * d + j, into);
  }
  for (int i = 0; i < rows; i++) store(grad_x0 + i * d + j, grad[i]);
}

template <int rows>
CW_INLINE void backward_group(const float* g, const float* x0, const float* w, const float* p, const float* e, int64_t L,
                        int64_t d, Sums& sums, float* grad_x0) {
  for (int i = 0; i < rows; i++) scalars(p + i * L, e, dot(g + i * d, x0 + i * d, d), L, i, sums);
  for_columns(d, [&](auto v, int64_t j) { backward_columns<decltype(v), rows>(g, x0, w, L, d, j, sums, grad_x0); });
}

void backward(const float* g, const float* x0, const float* w, const float* b, const float* p, const float* e,
                 int64_t B, int64_t L, int64_t d, float* grad_x0, float* grad_w, float* grad_b, float* scratch,
                 float* c) {
  const int64_t size = cross_scratch(L, d), sums_size = (L + 1) * d + L;
  parallel_for(cross_blocks(B), [=](int64_t block) {
    Sums sums(scratch + block * size, L, d);
    clear(sums.x0, sums_size);
    const int64_t end = end_of(block, B);
    int64_t r = block * kCrossRows;
    for (; r + kGroup <= end; r += kGroup)
      backward_group<kGroup>(g + r * d, x0 + r * d, w, p + r * L, e, L, d, sums, grad_x0 + r * d);
    for (; r < end; r++) backward_group<1>(g + r * d, x0 + r * d, w, p + r * L, e, L, d, sums, grad_x0 + r * d);
  });
  if (B == 0) {
    clear(grad_w, L * d);
    clear(grad_b, L * d);
    return;
  }
  Sums total(scratch, L, d);
  for (int64_t block = 1; block < cross_blocks(B); block++) add_multiple(1, scratch + block * size, sums_size, total.x0);
  clear(c, d);
  for (int64_t l = 0; l < L; l++) {
    for (int64_t j = 0; j < d; j++) grad_w[l * d + j] = total.x0[l * d + j] + total.t[l] * c[j];
    add_multiple(1, b + l * d, d, c);
  }
  for (int64_t l = L - 1; l >= 0; l--) {
    for (int64_t j = 0; j < d; j++) grad_b[l * d + j] = total.g[j];
    add_multiple(total.t[l], w + l * d, d, total.g);
  }
}

}  // namespace

extern const CrossKernels cross;
const CrossKernels cross{forward, backward};

}  // namespace clickwise::CW_ISA
