#include "norm.hpp"

#include <memory>

#include "bindings/module.hpp"

namespace clickwise {
namespace {

using Matrix = In<float, 2>;
using Vector = In<float, 1>;

std::unique_ptr<float[]> scratch(int64_t size) { return std::make_unique_for_overwrite<float[]>(size); }

template <class... Arrays>
bool are_columns(const Matrix& z, const Arrays&... arrays) {
  return ((arrays.shape(0) == z.shape(1)) && ...);
}

template <class Array>
bool same_shape(const Matrix& z, const Array& array) {
  return array.shape(0) == z.shape(0) && array.shape(1) == z.shape(1);
}

Norm norm_of(const Matrix& z, const Vector& mean, const Vector& variance, const Vector& gamma, const Vector& beta,
             double eps, double share, uint64_t seed, uint32_t layer) {
  require(are_columns(z, mean, variance, gamma, beta), "mean, variance, gamma or beta is not [N]");
  require(share >= 0 && share < 1, "the share that is dropped is not in [0, 1)");
  return {int64_t(z.shape(0)), int64_t(z.shape(1)), mean.data(), variance.data(), gamma.data(), beta.data(),
          eps, share, seed, layer};
}

void moments(Matrix z, Out<float, 1> mean, Out<float, 1> variance) {
  const int64_t B = z.shape(0), N = z.shape(1);
  require(B >= 1, "no rows to take moments of");
  require(are_columns(z, mean, variance), "mean or variance is not [N]");
  nb::gil_scoped_release release;
  norm().moments(z.data(), B, N, mean.data(), variance.data(), scratch(3 * norm_blocks(B) * N).get());
}

void forward(Matrix z, Vector mean, Vector variance, Vector gamma, Vector beta, double eps, double share, uint64_t seed,
             uint32_t layer, Out<float, 2> y) {
  const Norm n = norm_of(z, mean, variance, gamma, beta, eps, share, seed, layer);
  require(same_shape(z, y), "y is not [B, N]");
  nb::gil_scoped_release release;
  norm().forward(n, z.data(), y.data(), scratch(n.N).get());
}

void backward(Matrix z, Vector mean, Vector variance, Vector gamma, Vector beta, double eps, double share,
              uint64_t seed, uint32_t layer, bool of_batch, Matrix grad_y, Out<float, 2> grad_z,
              Out<float, 1> grad_gamma, Out<float, 1> grad_beta) {
  const Norm n = norm_of(z, mean, variance, gamma, beta, eps, share, seed, layer);
  require(same_shape(z, grad_y) && same_shape(z, grad_z), "grad_y or grad_z is not [B, N]");
  require(are_columns(z, grad_gamma, grad_beta), "grad_gamma or grad_beta is not [N]");
  nb::gil_scoped_release release;
  norm().backward(n, of_batch, grad_y.data(), z.data(), grad_z.data(), grad_gamma.data(), grad_beta.data(),
                  scratch((2 * norm_blocks(n.B) + 3) * n.N).get());
}

}  // namespace

void add_norm(nb::module_& m) {
  m.def("norm_moments", &moments);
  m.def("norm_forward", &forward);
  m.def("norm_backward", &backward);
}

}  // namespace clickwise
