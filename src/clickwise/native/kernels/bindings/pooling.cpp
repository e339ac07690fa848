#include "pooling.hpp"

#include "bindings/module.hpp"

namespace clickwise {
namespace {

Pooling pooling_of(const In<int32_t, 1>& vectors, const In<float, 2>& coefficients, int64_t B, int64_t S, int64_t D) {
  require_starts(vectors, S, "vectors are not [F + 1], from 0 up to S");
  const bool given = coefficients.is_valid();  // None is not
  require(!given || (int64_t(coefficients.shape(0)) == B && int64_t(coefficients.shape(1)) == S),
          "coefficients is not [B, S]");
  return {vectors.data(), given ? coefficients.data() : nullptr, B, S, int64_t(vectors.shape(0)) - 1, D};
}

void require_vectors(int64_t b, int64_t f, int64_t d, const Pooling& p) {
  require(b == p.B && f == p.F && d == p.D, "the vectors are not [B, F, D]");
}

}  // namespace

void add_pooling(nb::module_& m) {
  m.def("gather", [](In<float, 2> table, In<int32_t, 1> rows, Out<float, 2> to) {
    const int64_t V = table.shape(0), D = table.shape(1), U = rows.shape(0);
    require(int64_t(to.shape(0)) == U && int64_t(to.shape(1)) == D, "to is not [U, D]");
    require_rows(rows, V);
    nb::gil_scoped_release release;
    pooling().gather(table.data(), rows.data(), U, D, to.data());
  });
  m.def("pool_forward", [](In<float, 2> from, In<int32_t, 2> positions, bool slot_major, In<int32_t, 1> vectors,
                           In<float, 2> coefficients, Out<float, 3> out) {
    const int64_t rows = positions.shape(0), columns = positions.shape(1);
    const int64_t B = slot_major ? columns : rows, S = slot_major ? rows : columns;
    const Pooling pool = pooling_of(vectors, coefficients, B, S, from.shape(1));
    require_vectors(out.shape(0), out.shape(1), out.shape(2), pool);
    const Positions where{positions.data(), slot_major, int64_t(from.shape(0))};
    bool fits;
    {
      nb::gil_scoped_release release;
      fits = pooling().forward(from.data(), where, pool, out.data());
    }
    if (!fits) throw std::out_of_range("a batch names a table row that is not in the table");
  }, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
  m.def("pool_backward", [](In<float, 3> grad_out, In<int32_t, 2> inverse, In<int32_t, 1> groups,
                            In<int32_t, 1> starts, In<int32_t, 1> vectors, In<float, 2> coefficients,
                            Out<float, 2> gradient) {
    const int64_t S = inverse.shape(0), B = inverse.shape(1), G = int64_t(groups.shape(0)) - 1;
    const Pooling pool = pooling_of(vectors, coefficients, B, S, gradient.shape(1));
    require_vectors(grad_out.shape(0), grad_out.shape(1), grad_out.shape(2), pool);
    require_starts(groups, S, "groups are not [G + 1], from 0 up to S");
    require(int64_t(starts.shape(0)) == G + 1 && starts.data()[G] == int64_t(gradient.shape(0)),
            "starts is not [G + 1], up to U");
    nb::gil_scoped_release release;
    pooling().backward(grad_out.data(), inverse.data(), groups.data(), starts.data(), G, pool, gradient.data());
  }, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(), nb::arg());
}

}  // namespace clickwise
