#include "norm.hpp"

#include "machine/columns.hpp"
#include "machine/dropout.hpp"
#include "machine/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kColumns = 64;  // columns a task, where the sums of the blocks are added up

CW_INLINE int64_t end_of(int64_t block, int64_t B) { return (block + 1) * kNormRows < B ? (block + 1) * kNormRows : B; }

// f(first, count) for groups of at most kColumns columns.
template <class F>
CW_INLINE void parallel_columns(int64_t N, const F& f) {
  parallel_for((N + kColumns - 1) / kColumns, [=](int64_t task) {
    const int64_t first = task * kColumns;
    f(first, N - first < kColumns ? N - first : kColumns);
  });
}

// Of the rows of one block: their mean, rounded; what rounding left, sum(z - mean); and sum((z - mean)^2).
void block_moments(const float* z, int64_t rows, int64_t N, float* mean, float* rest, float* squares) {
  clear(mean, 3 * N);
  for (int64_t r = 0; r < rows; r++) add_multiple(1, z + r * N, N, mean);
  for_columns(N, [=](auto v, int64_t j) {
    store(mean + j, load_as<decltype(v)>(mean + j) * (1.0f / static_cast<float>(rows)));
  });
  for (int64_t r = 0; r < rows; r++)
    for_columns(N, [=](auto v, int64_t j) {
      using V = decltype(v);
      const V deviation = load_as<V>(z + r * N + j) - load_as<V>(mean + j);
      store(rest + j, load_as<V>(rest + j) + deviation);
      store(squares + j, load_as<V>(squares + j) + deviation * deviation);
    });
}

void moments(const float* z, int64_t B, int64_t N, float* mean, float* variance, float* scratch) {
  parallel_for(norm_blocks(B), [=](int64_t block) {
    float* into = scratch + block * 3 * N;
    const int64_t first = block * kNormRows;
    block_moments(z + first * N, end_of(block, B) - first, N, into, into + N, into + 2 * N);
  });
  parallel_columns(N, [=](int64_t first, int64_t count) {
    double sums[kColumns] = {}, squares[kColumns] = {};
    for (int64_t block = 0; block < norm_blocks(B); block++) {
      const float* of = scratch + block * 3 * N + first;
      const double rows = static_cast<double>(end_of(block, B) - block * kNormRows);
      for (int64_t j = 0; j < count; j++) sums[j] += rows * of[j] + of[N + j];
    }
    for (int64_t j = 0; j < count; j++) sums[j] /= static_cast<double>(B);
    for (int64_t block = 0; block < norm_blocks(B); block++) {
      const float* of = scratch + block * 3 * N + first;
      const double rows = static_cast<double>(end_of(block, B) - block * kNormRows);
      for (int64_t j = 0; j < count; j++) {
        const double off = of[j] - sums[j];
        squares[j] += of[2 * N + j] + off * (2 * of[N + j] + rows * off);
      }
    }
    for (int64_t j = 0; j < count; j++) {
      mean[first + j] = static_cast<float>(sums[j]);
      variance[first + j] = static_cast<float>(squares[j] / static_cast<double>(B));
    }
  });
}

CW_INLINE double inverse_deviation(const Norm& n, int64_t j) { return 1 / __builtin_sqrt(n.variance[j] + n.eps); }

void fill_scale(const Norm& n, float* scale) {
  for (int64_t j = 0; j < n.N; j++) scale[j] = static_cast<float>(n.gamma[j] * inverse_deviation(n, j));
}

// Numbers of the columns from j on, as many as V is wide.
CW_INLINE Words numbers(Floats, int64_t j) { return columns_from(static_cast<uint32_t>(j)); }
CW_INLINE uint32_t numbers(float, int64_t j) { return static_cast<uint32_t>(j); }

// What follows the linear layer, for the columns from j on of one row; both passes ask it.
template <bool dropping>
struct Row {
  const Norm& n;
  const float* scale;
  RowKey key;
  uint32_t threshold;
  float factor;  // 1 / (1 - share)

  CW_INLINE Row(const Norm& norm, const float* scales, int64_t row)
      : n(norm),
        scale(scales),
        key(row_key(norm.seed, norm.layer, static_cast<uint64_t>(row))),
        threshold(dropout_threshold(norm.share)),
        factor(static_cast<float>(1 / (1 - norm.share))) {}

  template <class V>
  CW_INLINE V normal(V z, int64_t j) const {
    return (z - load_as<V>(n.mean + j)) * load_as<V>(scale + j) + load_as<V>(n.beta + j);
  }

  template <class V>
  CW_INLINE V dropped(V x, int64_t j) const {
    if constexpr (dropping) return keep(key, numbers(V{}, j), threshold) ? x * factor : V{};
    return x;
  }

  // NaN stays NaN, as with torch.
  template <class V>
  CW_INLINE V activation(V z, int64_t j) const {
    const V x = normal(z, j);
    return dropped(x < 0 ? V{} : x, j);
  }

  template <class V>
  CW_INLINE V gradient(V grad_y, V z, int64_t j) const {
    return dropped(normal(z, j) <= 0 ? V{} : grad_y, j);
  }
};

template <bool dropping>
void forward_rows(const Norm& n, const float* z, float* y, const float* scale) {
  parallel_for(norm_blocks(n.B), [=, &n](int64_t block) {
    for (int64_t r = block * kNormRows; r < end_of(block, n.B); r++) {
      const Row<dropping> row(n, scale, r);
      const float* from = z + r * n.N;
      float* to = y + r * n.N;
      for_columns(n.N, [&](auto v, int64_t j) { store(to + j, row.activation(load_as<decltype(v)>(from + j), j)); });
    }
  });
}

void forward(const Norm& n, const float* z, float* y, float* scratch) {
  fill_scale(n, scratch);
  (n.share > 0 ? forward_rows<true> : forward_rows<false>)(n, z, y, scratch);
}

// h, which is asked for once because hashing costs more than memory; and of each block of rows sum(h) and
// sum(h (z - mean)), [norm_blocks(B), 2, N].
template <bool dropping>
void gradient_sums(const Norm& n, const float* grad_y, const float* z, const float* scale, float* h_of, float* sums) {
  parallel_for(norm_blocks(n.B), [=, &n](int64_t block) {
    float *total = sums + block * 2 * n.N, *products = total + n.N;
    clear(total, 2 * n.N);
    for (int64_t r = block * kNormRows; r < end_of(block, n.B); r++) {
      const Row<dropping> row(n, scale, r);
      for_columns(n.N, [&](auto v, int64_t j) {
        using V = decltype(v);
        const V input = load_as<V>(z + r * n.N + j);
        const V h = row.gradient(load_as<V>(grad_y + r * n.N + j), input, j);
        store(h_of + r * n.N + j, h);
        store(total + j, load_as<V>(total + j) + h);
        store(products + j, load_as<V>(products + j) + h * (input - load_as<V>(n.mean + j)));
      });
    }
  });
}

// grad_z = scale (h - shift - slope (z - mean)), in the place of h.
void gradient_rows(const Norm& n, const float* z, const float* scale, const float* shift, const float* slope,
                   float* grad_z) {
  parallel_for(norm_blocks(n.B), [=, &n](int64_t block) {
    for (int64_t r = block * kNormRows; r < end_of(block, n.B); r++)
      for_columns(n.N, [&](auto v, int64_t j) {
        using V = decltype(v);
        const V deviation = load_as<V>(z + r * n.N + j) - load_as<V>(n.mean + j);
        const V mean_part = load_as<V>(shift + j) + load_as<V>(slope + j) * deviation;
        float* to = grad_z + r * n.N + j;
        store(to, load_as<V>(scale + j) * (load_as<V>(to) - mean_part));
      });
  });
}

void backward(const Norm& n, bool of_batch, const float* grad_y, const float* z, float* grad_z, float* grad_gamma,
              float* grad_beta, float* scratch) {
  float *scale = scratch, *shift = scale + n.N, *slope = shift + n.N, *sums = slope + n.N;
  fill_scale(n, scale);
  (n.share > 0 ? gradient_sums<true> : gradient_sums<false>)(n, grad_y, z, scale, grad_z, sums);
  parallel_columns(n.N, [=, &n](int64_t first, int64_t count) {
    double total[kColumns] = {}, products[kColumns] = {};
    for (int64_t block = 0; block < norm_blocks(n.B); block++) {
      const float* of = sums + block * 2 * n.N + first;
      for (int64_t j = 0; j < count; j++) total[j] += of[j], products[j] += of[n.N + j];
    }
    for (int64_t j = 0; j < count; j++) {
      const double inverse = inverse_deviation(n, first + j);
      const double share = of_batch ? 1 / static_cast<double>(n.B) : 0;
      grad_beta[first + j] = static_cast<float>(total[j]);
      grad_gamma[first + j] = static_cast<float>(inverse * products[j]);
      shift[first + j] = static_cast<float>(share * total[j]);
      slope[first + j] = static_cast<float>(share * inverse * inverse * products[j]);
    }
  });
  gradient_rows(n, z, scale, shift, slope, grad_z);
}

}  // namespace

extern const NormKernels norm;
const NormKernels norm{moments, forward, backward};

}  // namespace clickwise::CW_ISA
