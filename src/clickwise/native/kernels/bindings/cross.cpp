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

void v1_forward(In<float, 2> x0, In<float, 2> w, In<float, 2> b, Out<float, 2> out, Out<float, 2> p, Out<float, 1> e) {
  const int64_t B = x0.shape(0), L = w.shape(0), d = x0.shape(1);
  require(is(w, L, d) && is(b, L, d), "w or b is not [L, d]");
  require(is(out, B, d), "out is not [B, d]");
  require(is(p, B, L) && int64_t(e.shape(0)) == L, "p is not [B, L] or e not [L]");
  nb::gil_scoped_release release;
  const auto c = scratch(d);
  cross().v1_forward(x0.data(), w.data(), b.data(), B, L, d, out.data(), p.data(), c.get(), e.data());
}

void v1_backward(In<float, 2> g, In<float, 2> x0, In<float, 2> w, In<float, 2> b, In<float, 2> p, In<float, 1> e,
                 Out<float, 2> grad_x0, Out<float, 2> grad_w, Out<float, 2> grad_b) {
  const int64_t B = x0.shape(0), L = w.shape(0), d = x0.shape(1);
  require(is(w, L, d) && is(b, L, d) && is(grad_w, L, d) && is(grad_b, L, d), "w, b or a gradient is not [L, d]");
  require(is(g, B, d) && is(grad_x0, B, d), "g or grad_x0 is not [B, d]");
  require(is(p, B, L) && int64_t(e.shape(0)) == L, "p is not [B, L] or e not [L]");
  nb::gil_scoped_release release;
  const auto room = scratch(cross_blocks(B) * cross_scratch(L, d) + d);
  cross().v1_backward(g.data(), x0.data(), w.data(), b.data(), p.data(), e.data(), B, L, d, grad_x0.data(),
                      grad_w.data(), grad_b.data(), room.get() + d, room.get());
}

void v2_forward(In<float, 2> x, In<float, 2> x0, In<float, 2> u, Out<float, 2> out) {
  const int64_t B = x0.shape(0), d = x0.shape(1);
  require(is(x, B, d) && is(u, B, d) && is(out, B, d), "x, u or out is not [B, d]");
  nb::gil_scoped_release release;
  cross().v2_forward(x.data(), x0.data(), u.data(), B, d, out.data());
}

void v2_backward(In<float, 2> g, In<float, 2> x0, In<float, 2> u, bool first, bool last, Out<float, 2> grad_u,
                 Out<float, 1> grad_b, Out<float, 2> grad_x0) {
  const int64_t B = x0.shape(0), d = x0.shape(1);
  require(is(g, B, d) && is(u, B, d), "g or u is not [B, d]");
  require(is(grad_u, B, d) && is(grad_x0, B, d) && int64_t(grad_b.shape(0)) == d, "a gradient has another shape");
  nb::gil_scoped_release release;
  const auto room = scratch(cross_blocks(B) * d);
  cross().v2_backward(g.data(), x0.data(), u.data(), B, d, first, last, grad_u.data(), grad_b.data(), grad_x0.data(),
                      room.get());
}

}  // namespace

void add_cross(nb::module_& m) {
  m.def("cross_v1_forward", &v1_forward);
  m.def("cross_v1_backward", &v1_backward);
  m.def("cross_v2_forward", &v2_forward);
  m.def("cross_v2_backward", &v2_backward);
}

}  // namespace clickwise
