#include "pooling.hpp"

#include <cstdlib>

#include "machine/row.hpp"
#include "machine/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kGathered = 512;  // rows a task
constexpr int64_t kPooled = 64;     // rows of the batch a task
constexpr int64_t kAhead = 40;      // rows to ask for before they are needed

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

// Whether all are positions below `count`.
bool below(const int32_t* positions, int64_t n, int64_t count) {
  uint32_t outside = 0;
  for (int64_t i = 0; i < n; i++) outside |= uint32_t(uint32_t(positions[i]) >= uint32_t(count));
  return outside == 0;
}

// Positions of the rows [begin, end) of the batch, slot-major at [S, B], to `to` [end - begin, S]: read where they are,
// the slots of a row would be far apart, and all in the same few places of the cache.
void transpose(const int32_t* at, int64_t B, int64_t S, int64_t begin, int64_t end, int32_t* to) {
  for (int64_t s = 0; s < S; s++)
    for (int64_t b = begin; b < end; b++) to[(b - begin) * S + s] = at[s * B + b];
}

// Vectors of `rows` rows of the batch, with positions [rows, S], coefficients [rows, S] or null, out [rows, F, D].
template <int kDim, bool kWeighted>
void pool_rows(const float* from, const int32_t* at, const float* coefficients, const Pooling& pool, int64_t rows,
               float* out) {
  const int64_t D = kDim ? kDim : pool.D, S = pool.S, F = pool.F;
  const int32_t* end = at + rows * S;
  for (int64_t b = 0; b < rows; b++, at += S) {
    for (int64_t f = 0; f < F; f++) {
      const int64_t first = pool.starts[f], last = pool.starts[f + 1];
      for (int64_t s = first; s < last; s++)
        if (end - at > s + kAhead) prefetch_row(from + at[s + kAhead] * D, D);
      float* to = out + (b * F + f) * D;
      columns(D, [=]<int W>(int64_t d) {
        typename Lanes<W>::type total{};
        for (int64_t s = first; s < last; s++) {
          const auto row = load_lanes<W>(from + at[s] * D + d);
          total += kWeighted ? coefficients[b * S + s] * row : row;
        }
        store_lanes<W>(to + d, total);
      });
    }
  }
}

// False where a position is outside or there is no memory.
bool pool_block(const float* from, const Positions& p, const Pooling& pool, int64_t begin, int64_t end, float* out) {
  const int64_t slots = (end - begin) * pool.S;
  int32_t* own = p.slot_major ? static_cast<int32_t*>(std::malloc(size_t(slots + 1) * sizeof(int32_t))) : nullptr;
  if (p.slot_major && !own) return false;
  if (own) transpose(p.at, pool.B, pool.S, begin, end, own);
  const int32_t* at = own ? own : p.at + begin * pool.S;
  const bool fits = below(at, slots, p.count);
  const float* coefficients = pool.coefficients ? pool.coefficients + begin * pool.S : nullptr;
  float* to = out + begin * pool.F * pool.D;
  if (fits) {
    with_width(pool.D, [=]<int kDim>() {
      if (coefficients)
        pool_rows<kDim, true>(from, at, coefficients, pool, end - begin, to);
      else
        pool_rows<kDim, false>(from, at, nullptr, pool, end - begin, to);
    });
  }
  std::free(own);
  return fits;
}

bool pool_forward(const float* from, Positions p, Pooling pool, float* out) {
  bool fits = true;
  parallel_for((pool.B + kPooled - 1) / kPooled, [=, &fits](int64_t task) {
    const int64_t begin = task * kPooled;
    if (!pool_block(from, p, pool, begin, least(begin + kPooled, pool.B), out))
      __atomic_store_n(&fits, false, __ATOMIC_RELAXED);
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
