#include "interactions.hpp"

#include "bindings/module.hpp"

namespace clickwise {

void add_interactions(nb::module_& m) {
  m.def("fm_forward", [](In<float, 3> vectors, Out<float, 1> out, Out<float, 2> total) {
    const int64_t B = vectors.shape(0), F = vectors.shape(1), D = vectors.shape(2);
    require(int64_t(out.shape(0)) == B, "out is not [B]");
    require(int64_t(total.shape(0)) == B && int64_t(total.shape(1)) == D, "total is not [B, D]");
    nb::gil_scoped_release release;
    interactions().fm_forward(vectors.data(), B, F, D, out.data(), total.data());
  });
  m.def("fm_backward", [](In<float, 1> grad_out, In<float, 3> vectors, In<float, 2> total, Out<float, 3> grad_vectors) {
    const int64_t B = vectors.shape(0), F = vectors.shape(1), D = vectors.shape(2);
    require(int64_t(grad_out.shape(0)) == B, "grad_out is not [B]");
    require(int64_t(total.shape(0)) == B && int64_t(total.shape(1)) == D, "total is not [B, D]");
    require(int64_t(grad_vectors.shape(0)) == B && int64_t(grad_vectors.shape(1)) == F &&
                int64_t(grad_vectors.shape(2)) == D,
            "grad_vectors is not [B, F, D]");
    nb::gil_scoped_release release;
    interactions().fm_backward(grad_out.data(), vectors.data(), total.data(), B, F, D, grad_vectors.data());
  });
}

}  // namespace clickwise
