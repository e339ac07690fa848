#include "updates.hpp"

#include "machine/row.hpp"
#include "machine/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kRows = 256;       // rows a task
constexpr int64_t kElements = 8192;  // elements a task, where rows do not matter
constexpr int64_t kAhead = 16;       // rows to ask for before they are needed

// The rules, each for one element: plain C++ that the compiler turns into vectors. Roots and quotients are exact.

struct SGD {
  static constexpr int kState = 0;
  const float lr;
  explicit SGD(const float* scalars) : lr(scalars[0]) {}
  CW_INLINE void operator()(float& w, float g, float&, float&) const { w -= lr * g; }
};

struct Adagrad {
  static constexpr int kState = 1;
  const float lr, eps;
  explicit Adagrad(const float* scalars) : lr(scalars[0]), eps(scalars[1]) {}
  CW_INLINE void operator()(float& w, float g, float& sum, float&) const {
    sum += g * g;
    w -= lr * g / (__builtin_sqrtf(sum) + eps);
  }
};

struct Adam {
  static constexpr int kState = 2;
  const float lr, to_mean, keep, to_square, unbias, eps;
  explicit Adam(const float* s)
      : lr(s[0]), to_mean(s[1]), keep(s[2]), to_square(s[3]), unbias(s[4]), eps(s[5]) {}
  CW_INLINE void operator()(float& w, float g, float& mean, float& square) const {
    mean += to_mean * (g - mean);
    square = keep * square + to_square * g * g;
    w -= lr * mean / (__builtin_sqrtf(square) * unbias + eps);
  }
};

struct FTRL {
  static constexpr int kState = 2;
  const float per_alpha, beta, l1, l2;
  explicit FTRL(const float* s) : per_alpha(s[0]), beta(s[1]), l1(s[2]), l2(s[3]) {}
  CW_INLINE void operator()(float& w, float g, float& z, float& n) const {
    const float root = n + g * g;
    const float curvature = (beta + __builtin_sqrtf(root)) * per_alpha + l2;
    const float now = (w != 0 ? -w * curvature - __builtin_copysignf(l1, w) : z) + g;
    const float next = (__builtin_copysignf(l1, now) - now) / curvature;
    const bool moves = g != 0;
    w = moves ? (__builtin_fabsf(now) > l1 ? next : 0) : w;
    z = moves ? now : z;
    n = root;
  }
};

template <class Rule>
CW_INLINE void elements(const Rule& rule, float* __restrict w, const float* __restrict g, float* __restrict s0,
                        float* __restrict s1, int64_t count, float l2) {
  for (int64_t i = 0; i < count; i++) {
    float none = 0;
    rule(w[i], g[i] + l2 * w[i], Rule::kState > 0 ? s0[i] : none, Rule::kState > 1 ? s1[i] : none);
  }
}

template <class Rule, int k>
CW_INLINE float* state(const Update& u, int64_t at) {
  return k < Rule::kState ? u.state[k] + at : nullptr;
}

template <class Rule, int kDim>
void rows_of_table(const Rule& rule, const Update& u, int64_t begin, int64_t end) {
  const int64_t D = kDim ? kDim : u.D;
  for (int64_t i = begin; i < end; i++) {
    if (i + kAhead < end) {
      const int64_t next = u.rows[i + kAhead] * D;
      prefetch_row(u.weight + next, D);
      if (Rule::kState > 0) prefetch_row(u.state[0] + next, D);
      if (Rule::kState > 1) prefetch_row(u.state[1] + next, D);
    }
    const int64_t at = u.rows[i] * D;
    elements(rule, u.weight + at, u.grad + i * D, state<Rule, 0>(u, at), state<Rule, 1>(u, at), D, u.l2);
  }
}

template <class Rule>
void elementwise(const Update& u) {
  const Rule rule(u.scalars);
  if (u.rows) {
    parallel_for((u.U + kRows - 1) / kRows, [&u, rule](int64_t task) {
      const int64_t begin = task * kRows, end = begin + kRows < u.U ? begin + kRows : u.U;
      with_width(u.D, [&]<int kDim>() { rows_of_table<Rule, kDim>(rule, u, begin, end); });
    });
    return;
  }
  const int64_t count = u.U * u.D;
  parallel_for((count + kElements - 1) / kElements, [&u, rule, count](int64_t task) {
    const int64_t at = task * kElements, part = count - at < kElements ? count - at : kElements;
    elements(rule, u.weight + at, u.grad + at, state<Rule, 0>(u, at), state<Rule, 1>(u, at), part, u.l2);
  });
}

template <int kDim>
void rowwise_rows(const Update& u, int64_t begin, int64_t end) {
  const int64_t D = kDim ? kDim : u.D;
  const float lr = u.scalars[0], eps = u.scalars[1], l2 = u.l2;
  for (int64_t i = begin; i < end; i++) {
    if (u.rows && i + kAhead < end) {
      prefetch_row(u.weight + u.rows[i + kAhead] * D, D);
      prefetch(u.state[0] + u.rows[i + kAhead]);
    }
    const int64_t row = u.rows ? u.rows[i] : i;
    float* w = u.weight + row * D;
    const float* g = u.grad + i * D;
    Floats wide{};
    float narrow = 0;
    columns(D, [&]<int W>(int64_t d) {
      const auto total = load_lanes<W>(g + d) + l2 * load_lanes<W>(w + d);
      if constexpr (W == kLanes)
        wide += total * total;
      else if constexpr (W == 1)
        narrow += total * total;
      else
        for (int k = 0; k < W; k++) narrow += total[k] * total[k];
    });
    const float n = u.state[0][row] += (sum(wide) + narrow) / float(D);
    const float step = lr / (__builtin_sqrtf(n) + eps);
    columns(D, [=]<int W>(int64_t d) {
      const auto before = load_lanes<W>(w + d);
      store_lanes<W>(w + d, before - step * (load_lanes<W>(g + d) + l2 * before));
    });
  }
}

void rowwise_adagrad(const Update& u) {
  const int64_t rows = u.D < kElements / kRows ? kRows : 1 + kElements / u.D;
  parallel_for((u.U + rows - 1) / rows, [&u, rows](int64_t task) {
    const int64_t begin = task * rows, end = begin + rows < u.U ? begin + rows : u.U;
    with_width(u.D, [&]<int kDim>() { rowwise_rows<kDim>(u, begin, end); });
  });
}

}  // namespace

extern const UpdateKernels updates;
const UpdateKernels updates{{
    {"sgd", 1, 0, false, elementwise<SGD>},
    {"adagrad", 2, 1, false, elementwise<Adagrad>},
    {"rowwise_adagrad", 2, 1, true, rowwise_adagrad},
    {"adam", 6, 2, false, elementwise<Adam>},
    {"ftrl", 4, 2, false, elementwise<FTRL>},
}};

}  // namespace clickwise::CW_ISA
