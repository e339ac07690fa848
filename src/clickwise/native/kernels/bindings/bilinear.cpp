#include "bilinear.hpp"

#include <nanobind/stl/optional.h>

#include <optional>

#include "bindings/module.hpp"

namespace clickwise {
namespace {

PairSizes sizes_of(const In<float, 3>& vectors, const In<float, 2>& gates, const In<float, 3>& weight) {
  const int64_t B = vectors.shape(0), F = vectors.shape(1), D = vectors.shape(2), count = weight.shape(0);
  require(F > 1 && D > 0, "there are no pairs");
  require(int64_t(gates.shape(0)) == B && int64_t(gates.shape(1)) == F, "gates are not [B, F]");
  require(int64_t(weight.shape(1)) == D && int64_t(weight.shape(2)) == D, "weight is not [.., D, D]");
  require(count == 1 || count == F - 1 || count == F * (F - 1) / 2, "not a matrix for all, for each f or each pair");
  return {B, F, D, count};
}

void require_pairs(const PairSizes& sizes, size_t rows, size_t columns) {
  const int64_t width = sizes.F * (sizes.F - 1) * sizes.D;
  require(int64_t(rows) == sizes.B && int64_t(columns) == width, "pairs are not [B, 2 P D]");
}

template <class A, class B>
void require_alike(const std::optional<A>& gradient, const B& of, const char* what) {
  for (size_t i = 0; gradient && i < of.ndim(); i++) require(gradient->shape(i) == of.shape(i), what);
}

}  // namespace

void add_bilinear(nb::module_& m) {
  m.def("bilinear_forward", [](In<float, 3> vectors, In<float, 2> gates, In<float, 3> weight, Out<float, 2> pairs) {
    const PairSizes sizes = sizes_of(vectors, gates, weight);
    require_pairs(sizes, pairs.shape(0), pairs.shape(1));
    nb::gil_scoped_release release;
    bilinear().forward(sizes, vectors.data(), gates.data(), weight.data(), pairs.data());
  });
  m.def(
      "bilinear_backward",
      [](In<float, 3> vectors, In<float, 2> gates, In<float, 3> weight, In<float, 2> grad_pairs,
         std::optional<Out<float, 3>> grad_vectors, std::optional<Out<float, 2>> grad_gates,
         std::optional<Out<float, 3>> grad_weight) {
        const PairSizes sizes = sizes_of(vectors, gates, weight);
        require_pairs(sizes, grad_pairs.shape(0), grad_pairs.shape(1));
        require_alike(grad_vectors, vectors, "grad_vectors are not [B, F, D]");
        require_alike(grad_gates, gates, "grad_gates are not [B, F]");
        require_alike(grad_weight, weight, "grad_weight is not as weight");
        nb::gil_scoped_release release;
        bilinear().backward(sizes, vectors.data(), gates.data(), weight.data(), grad_pairs.data(),
                            grad_vectors ? grad_vectors->data() : nullptr, grad_gates ? grad_gates->data() : nullptr,
                            grad_weight ? grad_weight->data() : nullptr);
      },
      nb::arg("vectors"), nb::arg("gates"), nb::arg("weight"), nb::arg("grad_pairs"), nb::arg("grad_vectors").none(),
      nb::arg("grad_gates").none(), nb::arg("grad_weight").none());
}

}  // namespace clickwise
