// The layer: groups of rows, whose vectors are mapped together, and go through all heads while they are in the
// second-level cache.
//
// In here a head has whole registers of columns, `width` >= d: W is [4, H, width, D] with zeros behind d, and what it
// maps to lies [vectors, 4, H, width]. E is what the operands of the maps are made of.
#pragma once
#include "attention/head.hpp"
#include "machine/columns.hpp"

namespace clickwise::CW_ISA::of_attention {

constexpr int64_t kVectors = 128;     // of a group, about
constexpr int64_t kGroupsOfTask = 8;  // they share one sum of W's gradient

// How rows are cut. It depends on sizes alone.
struct Cut {
  const AttentionLayer& layer;
  const int64_t width = padded(layer.d, kHead);  // of a head
  const int64_t of_part = layer.H * width, N = 4 * of_part;  // columns of queries, and of everything mapped
  const int64_t rows = kVectors / smaller(kVectors, layer.M + (layer.M == 0));  // of a group
  const int64_t vectors = rows * layer.M;
  const int64_t tasks = pieces(layer.B, rows * kGroupsOfTask);

  CW_INLINE explicit Cut(const AttentionLayer& layer) : layer(layer) {}

  // f(first row, rows) for the groups of a task.
  template <class F>
  CW_INLINE void groups(int64_t task, const F& f) const {
    const int64_t begin = task * kGroupsOfTask * rows, end = smaller(layer.B, begin + kGroupsOfTask * rows);
    for (int64_t b = begin; b < end; b += rows) f(b, smaller(rows, end - b));
  }
};

// W, as it is multiplied with.
template <class E>
struct Weight {
  const Cut& cut;
  float* rows = nullptr;  // [N, D]
  E* forward = nullptr;   // W^T [D, N], panels
  E* backward = nullptr;  // W [N, D], panels; null where nothing goes back

  CW_INLINE explicit Weight(const Cut& cut) : cut(cut) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    rows = cutter.cut<float>(cut.N * cut.layer.D);
    forward = cutter.cut<E>(panels_size(cut.layer.D, cut.N));
  }

  CW_INLINE void fill(const float* weight) const {
    const int64_t D = cut.layer.D, d = cut.layer.d, width = cut.width, N = cut.N;
    for (int64_t head = 0; head < 4 * cut.layer.H; head++) {
      std::memcpy(rows + head * width * D, weight + head * d * D, static_cast<size_t>(d * D) * sizeof(float));
      clear(rows + (head * width + d) * D, (width - d) * D);
    }
    for (int64_t panel = 0; panel < N / kPanel; panel++) pack_transpose(rows, N, D, forward, panel);
    if (backward) pack(rows, D, N, N, D, backward, panel_size(N), 0, pieces(D, kPanel));
  }
};

// What is known of a group of rows, and room to back.
template <class E>
struct Group {
  const Weight<E>& weight;
  const Cut& cut = weight.cut;
  const int64_t ld = stride<float>(cut.N), ldx = stride<E>(cut.layer.D);
  E* x;           // [vectors, D], rows
  float* mapped;  // [vectors, N], rows of ld
  Head head{cut.layer.M, cut.layer.d, ld};

  CW_INLINE explicit Group(const Weight<E>& weight) : weight(weight) {}

  CW_INLINE void lay_out(Cutter& cutter) {
    x = cutter.cut<E>(padded(cut.vectors) * ldx);
    mapped = cutter.cut<float>(cut.vectors * ld);
    head.lay_out(cutter);
  }

  // The first `parts` of queries, keys, values and residuals.
  CW_INLINE void map(const float* from, int64_t vectors, int64_t parts) const {
    const int64_t columns = parts * cut.of_part;
    to_rows(from, vectors, cut.layer.D, x);
    product(x, ldx, vectors, weight.forward, cut.layer.D, columns, Write<E>{false, mapped, ld, columns});
  }

  // f(row, h, its queries, its place in out) for all heads of `rows` rows.
  template <class F>
  CW_INLINE void heads(int64_t rows, const F& f) const {
    const int64_t M = cut.layer.M, H = cut.layer.H, d = cut.layer.d;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t h = 0; h < H; h++) f(r * M, h, mapped + r * M * ld + h * cut.width, r * M * H * d + h * d);
  }
};

template <class E>
void forward(const AttentionLayer& layer, const float* x, const float* weights, float* out) {
  const Cut cut(layer);
  Weight<E> weight(cut);
  lay_out(weight, Scratch::call);
  weight.fill(weights);
  parallel_for(cut.tasks, [&](int64_t task) {
    const Tiles tiles;
    Group<E> group(weight);
    clickwise::CW_ISA::lay_out(group, Scratch::task);
    const Head& head = group.head;
    const int64_t M = layer.M, d = layer.d, H = layer.H, ld = group.ld;
    cut.groups(task, [&](int64_t b, int64_t rows) {
      group.map(x + b * M * layer.D, rows * M, 4);
      group.heads(rows, [&](int64_t, int64_t, const float* query, int64_t at) {
        const float *key = query + cut.of_part, *value = key + cut.of_part, *residual = value + cut.of_part;
        head.attend(query, key);
        head.over_keys(head.shares, value, ld);
        for (int64_t m = 0; m < M; m++) {
          const float *from = head.result + m * head.width, *rest = residual + m * ld;
          float* to = out + b * M * H * d + at + m * H * d;
          for_columns(d, [=](auto v, int64_t c) {
            using V = decltype(v);
            const V y = load_as<V>(from + c) + load_as<V>(rest + c);
            store(to + c, y < 0 ? V{} : y);  // NaN stays NaN
          });
        }
      });
    });
  });
}

}  // namespace clickwise::CW_ISA::of_attention
