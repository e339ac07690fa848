#include "pooling.hpp"

#include "common/columns.hpp"
#include "common/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kGathered = 512;  // rows a task
constexpr int64_t kPooled = 64;     // rows of the batch a task
constexpr int64_t kAhead = 20;      // rows to ask for before they are needed

CW_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

template <int kDim>
void gather_rows(const float* table, const int32_t* rows, int64_t begin, int64_t end, int64_t dim, float* to) {
  const int64_t D = kDim ? kDim : dim;
  for (int64_t u = begin; u < end; u++) {
    if (u + kAhead < end) prefetch_row(table + rows[u + kAhead] * D, D);
    const float* from = table + rows[u] * D;
    columns(D, [=]<int W>(int64_t d) { store_lanes<W>(to + u * D + d, load_lanes<W>(from + d)); });
  }
}

void gather(const float* table, const int32_t* rows, int64_t U, int64_t D, float* to) {
  parallel_for((U + kGathered - 1) / kGathered, [=](int64_t task) {
    const int64_t end = least((task + 1) * kGathered, U);
    with_width(D, [=]<int kDim>() { gather_rows<kDim>(table, rows, task * kGathered, end, D, to); });
  });
}

// Whether all positions of the rows [begin, end) of the batch are below the count; negative ones are not.
bool within(const Positions& p, const Pooling& pool, int64_t begin, int64_t end) {
  const bool slots_inside = p.slot_stride == 1;
  const int64_t outer = slots_inside ? end - begin : pool.S, inner = slots_inside ? pool.S : end - begin;
  const int64_t stride = slots_inside ? p.row_stride : p.slot_stride;
  uint32_t outside = 0;
  for (int64_t i = 0; i < outer; i++) {
    const int32_t* at = p.at + begin * p.row_stride + i * stride;
    for (int64_t j = 0; j < inner; j++) outside |= uint32_t(uint32_t(at[j]) >= uint32_t(p.count));
  }
  return outside == 0;
}

template <int kDim, bool kWeighted>
void pool_rows(const float* from, const Positions& p, const Pooling& pool, int64_t begin, int64_t end, float* out) {
  const int64_t D = kDim ? kDim : pool.D, S = pool.S, F = pool.F;
  const int64_t rows_ahead = S ? 1 + kAhead / S : 0;
  for (int64_t b = begin; b < end; b++) {
    const int32_t* at = p.at + b * p.row_stride;
    if (b + rows_ahead < end) {
      const int32_t* next = at + rows_ahead * p.row_stride;
      for (int64_t s = 0; s < S; s++) prefetch_row(from + next[s * p.slot_stride] * D, D);
    }
    const float* coefficient = kWeighted ? pool.coefficients + b * S : nullptr;
    for (int64_t f = 0; f < F; f++) {
      const int64_t first = pool.starts[f], last = pool.starts[f + 1];
      float* to = out + (b * F + f) * D;
      columns(D, [=]<int W>(int64_t d) {
        typename Lanes<W>::type total{};
        for (int64_t s = first; s < last; s++) {
          const auto row = load_lanes<W>(from + at[s * p.slot_stride] * D + d);
          total += kWeighted ? coefficient[s] * row : row;
        }
        store_lanes<W>(to + d, total);
      });
    }
  }
}

bool pool_forward(const float* from, Positions p, Pooling pool, float* out) {
  bool fits = true;
  parallel_for((pool.B + kPooled - 1) / kPooled, [=, &fits](int64_t task) {
    const int64_t begin = task * kPooled, end = least(begin + kPooled, pool.B);
    if (!within(p, pool, begin, end)) {
      __atomic_store_n(&fits, false, __ATOMIC_RELAXED);
      return;
    }
    with_width(pool.D, [=]<int kDim>() {
      if (pool.coefficients)
        pool_rows<kDim, true>(from, p, pool, begin, end, out);
      else
        pool_rows<kDim, false>(from, p, pool, begin, end, out);
    });
  });
  return fits;
}

// One slot's part of the gradient. `grad` is that of its vector, of B rows that lie F * D apart.
template <int kDim, bool kWeighted>
void sum_slot(const float* grad, const int32_t* inverse, const float* coefficient, const Pooling& pool, float* to) {
  const int64_t D = kDim ? kDim : pool.D, step = pool.F * D;
  for (int64_t b = 0; b < pool.B; b++) {
    if (b + kAhead < pool.B) prefetch_row(grad + (b + kAhead) * step, D);
    const int64_t position = inverse[b];
    if (position == 0) continue;
    columns(D, [=]<int W>(int64_t d) {
      const auto g = load_lanes<W>(grad + b * step + d);
      float* sum = to + position * D + d;
      store_lanes<W>(sum, load_lanes<W>(sum) + (kWeighted ? coefficient[b * pool.S] * g : g));
    });
  }
}

void pool_backward(const float* grad_out, const int32_t* inverse, const int32_t* groups, const int32_t* starts,
                   int64_t G, Pooling pool, float* gradient) {
  const int64_t D = pool.D;
  std::memset(gradient, 0, size_t(D) * sizeof(float));
  parallel_for(G, [=](int64_t g) {
    std::memset(gradient + starts[g] * D, 0, size_t((starts[g + 1] - starts[g]) * D) * sizeof(float));
    int64_t f = 0;
    for (int64_t s = groups[g]; s < groups[g + 1]; s++) {
      while (pool.starts[f + 1] <= s) f++;
      const float* grad = grad_out + f * D;
      const int32_t* positions = inverse + s * pool.B;
      const float* coefficient = pool.coefficients ? pool.coefficients + s : nullptr;
      with_width(D, [=]<int kDim>() {
        if (coefficient)
          sum_slot<kDim, true>(grad, positions, coefficient, pool, gradient);
        else
          sum_slot<kDim, false>(grad, positions, nullptr, pool, gradient);
      });
    }
  });
}

}  // namespace

extern const PoolingKernels pooling;
const PoolingKernels pooling{gather, pool_forward, pool_backward};

}  // namespace clickwise::CW_ISA
