#include "cross.hpp"

#include <memory>

#include "bindings/module.hpp"

namespace clickwise {
namespace {

template <class Array>
bool is(const Array& array, int64_t rows, int64_t columns) {
  return int64_t(array.shape(0)) == rows && int64_t(array.shape(1)) == columns;
}

std::unique_ptr<float[]> scratch(int64_t size) { return std::make_unique_for_overwrite<float[]>(size); }

void forward(In<float, 2> x0, In<float, 2> w, In<float, 2> b, Out<float, 2> out, Out<float, 2> p, Out<float, 1> e) {
  const int64_t B = x0.shape(0), L = w.shape(0), d = x0.shape(1);
  require(is(w, L, d) && is(b, L, d), "w or b is not [L, d]");
  require(is(out, B, d), "out is not [B, d]");
  require(is(p, B, L) && int64_t(e.shape(0)) == L, "p is not [B, L] or e not [L]");
  nb::gil_scoped_release release;
  const auto c = scratch(d);
  cross().forward(x0.data(), w.data(), b.data(), B, L, d, out.data(), p.data(), c.get(), e.data());
}

void backward(In<float, 2> g, In<float, 2> x0, In<float, 2> w, In<float, 2> b, In<float, 2> p, In<float, 1> e,
                 Out<float, 2> grad_x0, Out<float, 2> grad_w, Out<float, 2> grad_b) {
  const int64_t B = x0.shape(0), L = w.shape(0), d = x0.shape(1);
  require(is(w, L, d) && is(b, L, d) && is(grad_w, L, d) && is(grad_b, L, d), "w, b or a gradient is not [L, d]");
  require(is(g, B, d) && is(grad_x0, B, d), "g or grad_x0 is not [B, d]");
  require(is(p, B, L) && int64_t(e.shape(0)) == L, "p is not [B, L] or e not [L]");
  nb::gil_scoped_release release;
  const auto room = scratch(cross_blocks(B) * cross_scratch(L, d) + d);
  cross().backward(g.data(), x0.data(), w.data(), b.data(), p.data(), e.data(), B, L, d, grad_x0.data(),
                      grad_w.data(), grad_b.data(), room.get() + d, room.get());
}

}  // namespace

void add_cross(nb::module_& m) {
  m.def("cross_v1_forward", &forward);
  m.def("cross_v1_backward", &backward);
}

}  // namespace clickwise
