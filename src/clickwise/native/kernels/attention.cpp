#include "attention.hpp"

#include "dense/pack.hpp"
#include "machine/columns.hpp"
#include "machine/exponential.hpp"
#include "machine/pool.hpp"
#include "machine/scratch.hpp"
#include "machine/small_product.hpp"

namespace clickwise::CW_ISA {
namespace {

constexpr int64_t kRows = 8;  // rows a task

// One head of one row: where its matrices [M, d] are, and room for those that the products need in another layout.
struct Head {
  int64_t M, d, M_padded, d_padded;
  float *shares, *scores;           // [M, M_padded]
  float* across;                    // [d_padded, M_padded]
  float *left, *right, *gradients;  // [M, d_padded]

  static int64_t floats(int64_t M, int64_t d) { return (2 * M + padded(d, kLanes)) * padded(M, kLanes) + 3 * M * padded(d, kLanes); }

  CW_INLINE Head(int64_t M, int64_t d, float* scratch)
      : M(M), d(d), M_padded(padded(M, kLanes)), d_padded(padded(d, kLanes)), shares(scratch), scores(shares + M * M_padded),
        across(scores + M * M_padded), left(across + d_padded * M_padded), right(left + M * d_padded),
        gradients(right + M * d_padded) {}

  // A copy with rows of whole vectors.
  CW_INLINE void copy(const float* from, int64_t row, float* to) const {
    for (int64_t m = 0; m < M; m++) {
      std::memcpy(to + m * d_padded, from + m * row, static_cast<size_t>(d) * sizeof(float));
      clear(to + m * d_padded + d, d_padded - d);
    }
  }

  // The transpose [d, M_padded]; `room` is for a copy.
  CW_INLINE void transpose(const float* from, int64_t row, float* room, float* to) const {
    copy(from, row, room);
    transpose_rows<float>(room, d_padded, M, M_padded, d_padded, to, M_padded);
  }

  // shares = softmax(Q K^T), zero in the padding; left = Q.
  CW_INLINE void attend(const float* query, const float* key, int64_t row) const {
    transpose(key, row, left, across);
    copy(query, row, left);
    small_product({left, d_padded, 1}, across, M, M_padded, d, shares);
    for (int64_t m = 0; m < M; m++) softmax(shares + m * M_padded);
  }

  CW_INLINE void softmax(float* x) const {
    float largest = x[0];
    for (int64_t j = 1; j < M; j++) largest = x[j] > largest ? x[j] : largest;
    for (int64_t j = 0; j < M_padded; j += kLanes) store(x + j, exponential(load(x + j) - largest));
    clear(x + M, M_padded - M);
    Floats total{};
    for (int64_t j = 0; j < M_padded; j += kLanes) total += load(x + j);
    const float share = 1 / sum(total);
    for (int64_t j = 0; j < M_padded; j += kLanes) store(x + j, load(x + j) * share);
  }

  // scores = shares * (scores - rowsum(shares * scores))
  CW_INLINE void through_softmax() const {
    for (int64_t m = 0; m < M; m++) {
      const float* a = shares + m * M_padded;
      float* e = scores + m * M_padded;
      Floats total{};
      for (int64_t j = 0; j < M_padded; j += kLanes) total += load(a + j) * load(e + j);
      const float mean = sum(total);
      for (int64_t j = 0; j < M_padded; j += kLanes) store(e + j, load(a + j) * (load(e + j) - mean));
    }
  }
};

// f(row of the batch, head number, Head), a few rows a task.
template <class F>
CW_INLINE void for_heads(const AttentionSizes& sizes, const F& f) {
  parallel_for((sizes.B + kRows - 1) / kRows, [&](int64_t task) {
    const int64_t bytes = Head::floats(sizes.M, sizes.d) * static_cast<int64_t>(sizeof(float));
    const Head head(sizes.M, sizes.d, reinterpret_cast<float*>(scratch(Scratch::task, bytes)));
    const int64_t end = (task + 1) * kRows < sizes.B ? (task + 1) * kRows : sizes.B;
    for (int64_t b = task * kRows; b < end; b++)
      for (int64_t h = 0; h < sizes.H; h++) f(b, h, head);
  });
}

void forward(const AttentionSizes& sizes, const float* mapped, float* out) {
  const int64_t d = sizes.d, width = sizes.H * d, row = 4 * width;
  for_heads(sizes, [=](int64_t b, int64_t h, const Head& head) {
    const int64_t M = head.M;
    const float* query = mapped + b * M * row + h * d;
    const float *key = query + width, *value = key + width, *residual = value + width;
    head.attend(query, key, row);
    head.copy(value, row, head.right);
    small_product({head.shares, head.M_padded, 1}, head.right, M, head.d_padded, M, head.left);
    for (int64_t m = 0; m < M; m++) {
      const float *from = head.left + m * head.d_padded, *rest = residual + m * row;
      float* to = out + (b * M + m) * width + h * d;
      for_columns(d, [=](auto v, int64_t c) {
        using V = decltype(v);
        const V y = load_as<V>(from + c) + load_as<V>(rest + c);
        store(to + c, y < 0 ? V{} : y);  // NaN stays NaN
      });
    }
  });
}

void backward(const AttentionSizes& sizes, const float* grad_out, const float* out, const float* mapped,
              float* grad_mapped) {
  const int64_t d = sizes.d, width = sizes.H * d, row = 4 * width;
  for_heads(sizes, [=](int64_t b, int64_t h, const Head& head) {
    const int64_t M = head.M, M_padded = head.M_padded, d_padded = head.d_padded;
    const float* query = mapped + b * M * row + h * d;
    const float *key = query + width, *value = key + width;
    float* grad_query = grad_mapped + (query - mapped);
    float *grad_key = grad_query + width, *grad_value = grad_key + width, *grad_residual = grad_value + width;
    const auto write = [=](const float* from, float* to) {
      for (int64_t m = 0; m < M; m++)
        std::memcpy(to + m * row, from + m * d_padded, static_cast<size_t>(d) * sizeof(float));
    };

    head.attend(query, key, row);
    for (int64_t m = 0; m < M; m++) {
      const int64_t at = (b * M + m) * width + h * d;
      float* g = head.gradients + m * d_padded;
      for_columns(d, [=](auto v, int64_t c) {
        using V = decltype(v);
        const V gradient = load_as<V>(grad_out + at + c);
        store(g + c, load_as<V>(out + at + c) > 0 ? gradient : V{});
      });
      clear(g + d, d_padded - d);
    }
    write(head.gradients, grad_residual);
    small_product({head.shares, 1, M_padded}, head.gradients, M, d_padded, M, head.right);
    write(head.right, grad_value);
    head.transpose(value, row, head.right, head.across);
    small_product({head.gradients, d_padded, 1}, head.across, M, M_padded, d, head.scores);
    head.through_softmax();
    small_product({head.scores, 1, M_padded}, head.left, M, d_padded, M, head.right);
    write(head.right, grad_key);
    head.copy(key, row, head.left);
    small_product({head.scores, M_padded, 1}, head.left, M, d_padded, M, head.right);
    write(head.right, grad_query);
  });
}

}  // namespace

extern const AttentionKernels attention;
const AttentionKernels attention{forward, backward};

}  // namespace clickwise::CW_ISA
