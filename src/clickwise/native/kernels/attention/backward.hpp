// The way back of a layer: a group of rows is mapped again, goes back through all heads, and its gradients G are
// multiplied with W and with x, all while they are in the second-level cache. A task adds up G^T x of its groups; the
// tasks are added up last, in their order.
#pragma once
#include "attention/forward.hpp"

namespace clickwise::CW_ISA::of_attention {

constexpr int64_t kLine = 16;  // floats of a line of the cache

// The gradients of a group, as operands of the two products that they end in.
template <class E>
struct GroupGradients {
  const Cut& cut;
  const int64_t ld = stride<E>(cut.N), ldx = stride<E>(cut.vectors);
  E* rows;      // G [vectors, N], rows
  E* panels;    // G, panels
  E* x_across;  // x^T [D, vectors], rows

  CW_INLINE explicit GroupGradients(const Cut& cut) : cut(cut) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    rows = cutter.cut<E>(padded(cut.vectors) * ld);
    panels = cutter.cut<E>(panels_size(cut.vectors, cut.N));
    x_across = cutter.cut<E>(padded(cut.layer.D) * ldx);
  }

  // A head's [M, width] of one part.
  CW_INLINE void write(const Head& head, const float* from, E* to) const {
    for (int64_t m = 0; m < head.M; m++)
      for (int64_t c = 0; c < head.width; c += kLanes) store(to + m * ld + c, load(from + m * head.width + c));
  }

  // grad_x = G W of `vectors`.
  CW_INLINE void down(int64_t vectors, const Weight<E>& weight, float* grad_x) const {
    const int64_t D = cut.layer.D;
    product(rows, ld, vectors, weight.backward, cut.N, D, Write<E>{false, grad_x, D, D});
  }

  // total [D, N] = x^T G, or += with `add`.
  CW_INLINE void to_weight(int64_t vectors, const E* x, bool add, float* total) const {
    const int64_t D = cut.layer.D, N = cut.N;
    transpose_rows(x, stride<E>(D), vectors, padded(vectors), D, x_across, ldx);
    pack(rows, ld, vectors, padded(vectors), N, panels, panel_size(vectors), 0, N / kPanel);
    product(x_across, ldx, D, panels, vectors, N, Write<E>{add, total, N, N});
  }
};

// A group on its way back.
template <class E>
struct GroupBack {
  Group<E> group;
  GroupGradients<E> gradients;

  CW_INLINE explicit GroupBack(const Weight<E>& weight) : group(weight), gradients(weight.cut) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    group.lay_out(cutter);
    gradients.lay_out(cutter);
  }

  // One head: grad_out and out in rows of H d floats; `to`: where the gradients of its queries go.
  CW_INLINE void head(const float* query, const float* grad_out, const float* out, E* to) const {
    const Head& head = group.head;
    const int64_t part = group.cut.of_part, ld = group.ld, ldo = group.cut.layer.H * head.d, d = head.d;
    const float *key = query + part, *value = key + part;
    E *to_key = to + part, *to_value = to_key + part, *to_residual = to_value + part;
    for (int64_t m = 0; m < head.M; m++) {
      float* g = head.gradient + m * head.width;
      for (int64_t c = 0; c < d; c += kLine) {  // the same of the next row
        prefetch(grad_out + (head.M + m) * ldo + c);
        prefetch(out + (head.M + m) * ldo + c);
      }
      for_columns(d, [=](auto v, int64_t c) {
        using V = decltype(v);
        const V gradient = load_as<V>(grad_out + m * ldo + c);
        store(g + c, load_as<V>(out + m * ldo + c) > 0 ? gradient : V{});
      });
      clear(g + d, head.width - d);
    }
    gradients.write(head, head.gradient, to_residual);
    head.attend(query, key);
    head.over_queries(head.shares, head.gradient, head.width);
    gradients.write(head, head.result, to_value);
    head.meet(value, head.gradient, head.width, head.scores);
    head.through_softmax();
    head.over_queries(head.scores, query, ld);
    gradients.write(head, head.result, to_key);
    head.over_keys(head.scores, key, ld);
    gradients.write(head, head.result, to);
  }
};

// What the tasks of a backward pass share.
template <class E>
struct Shared {
  Weight<E> weight;
  float* totals;  // of each task, [D, N] of the gradient of W^T

  CW_INLINE explicit Shared(const Cut& cut) : weight(cut) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    weight.lay_out(cutter);
    weight.backward = cutter.cut<E>(panels_size(weight.cut.N, weight.cut.layer.D));
    totals = cutter.cut<float>(weight.cut.tasks * weight.cut.layer.D * weight.cut.N);
  }
};

// grad_weight [4, H, d, D] = the sum of all tasks' totals [D, N], in their order.
CW_INLINE void add_up(const Cut& cut, float* totals, float* grad_weight) {
  const int64_t D = cut.layer.D, N = cut.N, d = cut.layer.d;
  parallel_for(D, [&](int64_t k) {
    for (int64_t n = 0; n < N; n += kLanes) {
      Floats total{};
      for (int64_t task = 0; task < cut.tasks; task++) total += load(totals + (task * D + k) * N + n);
      for (int64_t i = 0; i < kLanes; i++) {
        const int64_t head = (n + i) / cut.width, c = (n + i) % cut.width;
        if (c < d) grad_weight[(head * d + c) * D + k] = total[i];
      }
    }
  });
}

template <class E>
void backward(const AttentionLayer& layer, const float* x, const float* weights, const float* out,
              const float* grad_out, float* grad_x, float* grad_weight) {
  const Cut cut(layer);
  Shared<E> shared(cut);
  lay_out(shared, Scratch::call);
  shared.weight.fill(weights);
  parallel_for(cut.tasks, [&](int64_t task) {
    const Tiles tiles;
    GroupBack<E> back(shared.weight);
    clickwise::CW_ISA::lay_out(back, Scratch::task);
    const int64_t M = layer.M, D = layer.D, width = layer.H * layer.d;
    bool add = false;
    cut.groups(task, [&](int64_t b, int64_t rows) {
      back.group.map(x + b * M * D, rows * M, 3);
      back.group.heads(rows, [&](int64_t vector, int64_t h, const float* query, int64_t at) {
        const int64_t from = b * M * width + at;
        back.head(query, grad_out + from, out + from, back.gradients.rows + vector * back.gradients.ld + h * cut.width);
      });
      back.gradients.down(rows * M, shared.weight, grad_x + b * M * D);
      back.gradients.to_weight(rows * M, back.group.x, add, shared.totals + task * D * cut.N);
      add = true;
    });
  });
  add_up(cut, shared.totals, grad_weight);
}

}  // namespace clickwise::CW_ISA::of_attention
