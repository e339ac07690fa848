#include "attention.hpp"

#include "bindings/module.hpp"

namespace clickwise {
namespace {

// [B, M, H d] of the output, and that `mapped` is [B, M, 4 H d].
AttentionSizes sizes_of(const In<float, 3>& mapped, int64_t H, int64_t B, int64_t M, int64_t width) {
  require(H > 0 && width > 0 && width % H == 0, "the width is no multiple of the heads");
  require(int64_t(mapped.shape(0)) == B && int64_t(mapped.shape(1)) == M && int64_t(mapped.shape(2)) == 4 * width,
          "mapped is not [B, M, 4 H d]");
  return {B, M, H, width / H};
}

}  // namespace

void add_attention(nb::module_& m) {
  m.def("attention_forward", [](In<float, 3> mapped, int64_t H, Out<float, 3> out) {
    const AttentionSizes sizes = sizes_of(mapped, H, out.shape(0), out.shape(1), out.shape(2));
    nb::gil_scoped_release release;
    attention().forward(sizes, mapped.data(), out.data());
  });
  m.def("attention_backward", [](In<float, 3> grad_out, In<float, 3> out, In<float, 3> mapped, int64_t H,
                                 Out<float, 3> grad_mapped) {
    const AttentionSizes sizes = sizes_of(mapped, H, out.shape(0), out.shape(1), out.shape(2));
    for (int i = 0; i < 3; i++) {
      require(grad_out.shape(i) == out.shape(i), "grad_out is not [B, M, H d]");
      require(grad_mapped.shape(i) == mapped.shape(i), "grad_mapped is not [B, M, 4 H d]");
    }
    nb::gil_scoped_release release;
    attention().backward(sizes, grad_out.data(), out.data(), mapped.data(), grad_mapped.data());
  });
}

}  // namespace clickwise
