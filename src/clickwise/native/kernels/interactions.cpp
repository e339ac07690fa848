#include "interactions.hpp"

#include "machine/columns.hpp"
#include "machine/pool.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kRows = 64;  // rows a task

// Columns [d, d + W) of one row; W is kLanes in vectors, 1 at the end of a row whose D is no multiple of it.
CW_INLINE float pairs(const float* v, int64_t F, int64_t D, float* total) {
  Floats out{};
  float rest = 0;
  int64_t d = 0;
  for (; d + kLanes <= D; d += kLanes) {
    Floats s{}, q{};
    for (int64_t f = 0; f < F; f++) {
      const Floats x = load(v + f * D + d);
      s += x;
      q += x * x;
    }
    store(total + d, s);
    out += s * s - q;
  }
  for (; d < D; d++) {
    float s = 0, q = 0;
    for (int64_t f = 0; f < F; f++) {
      const float x = v[f * D + d];
      s += x;
      q += x * x;
    }
    total[d] = s;
    rest += s * s - q;
  }
  return 0.5f * (sum(out) + rest);
}

void fm_forward(const float* vectors, int64_t B, int64_t F, int64_t D, float* out, float* total) {
  parallel_for((B + kRows - 1) / kRows, [=](int64_t task) {
    const int64_t end = (task + 1) * kRows < B ? (task + 1) * kRows : B;
    for (int64_t b = task * kRows; b < end; b++) out[b] = pairs(vectors + b * F * D, F, D, total + b * D);
  });
}

void fm_backward(const float* grad_out, const float* vectors, const float* total, int64_t B, int64_t F, int64_t D,
                 float* grad_vectors) {
  parallel_for((B + kRows - 1) / kRows, [=](int64_t task) {
    const int64_t end = (task + 1) * kRows < B ? (task + 1) * kRows : B;
    for (int64_t b = task * kRows; b < end; b++) {
      const float g = grad_out[b];
      const float* s = total + b * D;
      for (int64_t f = 0; f < F; f++) {
        const float* v = vectors + (b * F + f) * D;
        float* to = grad_vectors + (b * F + f) * D;
        for_columns(D, [=](auto x, int64_t d) {
          using V = decltype(x);
          store(to + d, g * (load_as<V>(s + d) - load_as<V>(v + d)));
        });
      }
    }
  });
}

}  // namespace

extern const InteractionKernels interactions;
const InteractionKernels interactions{fm_forward, fm_backward};

}  // namespace clickwise::CW_ISA
