#include "attention/attention.hpp"

#include "bindings/module.hpp"

namespace clickwise {
namespace {

using Vectors = In<float, 3>;

AttentionLayer layer_of(const Vectors& x, const In<float, 2>& weight, int64_t H, bool half) {
  const int64_t rows = weight.shape(0);
  require(H > 0 && rows > 0 && rows % (4 * H) == 0, "the weight is not [4 H d, D]");
  require(weight.shape(1) == x.shape(2), "x is not [B, M, D]");
  return {int64_t(x.shape(0)), int64_t(x.shape(1)), int64_t(x.shape(2)), H, rows / (4 * H), half};
}

template <class Array>
void require_out(const Array& out, const AttentionLayer& layer, const char* what) {
  require(int64_t(out.shape(0)) == layer.B && int64_t(out.shape(1)) == layer.M &&
              int64_t(out.shape(2)) == layer.H * layer.d, what);
}

}  // namespace

void add_attention(nb::module_& m) {
  m.def("attention_forward", [](Vectors x, In<float, 2> weight, int64_t H, bool half, Out<float, 3> out) {
    const AttentionLayer layer = layer_of(x, weight, H, half);
    require_out(out, layer, "out is not [B, M, H d]");
    nb::gil_scoped_release release;
    attention().forward(layer, x.data(), weight.data(), out.data());
  });
  m.def("attention_backward", [](Vectors x, In<float, 2> weight, int64_t H, bool half, Vectors out, Vectors grad_out,
                                 Out<float, 3> grad_x, Out<float, 2> grad_weight) {
    const AttentionLayer layer = layer_of(x, weight, H, half);
    require_out(out, layer, "out is not [B, M, H d]");
    require_out(grad_out, layer, "grad_out is not [B, M, H d]");
    for (int i = 0; i < 3; i++) require(grad_x.shape(i) == x.shape(i), "grad_x is not [B, M, D]");
    for (int i = 0; i < 2; i++) require(grad_weight.shape(i) == weight.shape(i), "grad_weight is not [4 H d, D]");
    nb::gil_scoped_release release;
    attention().backward(layer, x.data(), weight.data(), out.data(), grad_out.data(), grad_x.data(),
                         grad_weight.data());
  });
}

}  // namespace clickwise
