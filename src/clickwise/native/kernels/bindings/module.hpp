// What the Python extension is made of: each family of kernels adds its functions.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>

namespace clickwise {

namespace nb = nanobind;

// Arrays in memory of the processor, dense and row-major. `In` are read, `Out` are written.
template <class T, int dims>
using In = nb::ndarray<const T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;
template <class T, int dims>
using Out = nb::ndarray<T, nb::ndim<dims>, nb::c_contig, nb::device::cpu>;

// Raises a ValueError in Python. Doors give arrays of the right shapes; this holds them to it.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(std::string("clickwise kernels: ") + what);
}

void add_columns(nb::module_&);
void add_cross(nb::module_&);
void add_dense(nb::module_&);
void add_interactions(nb::module_&);
void add_norm(nb::module_&);
void add_ranking(nb::module_&);

}  // namespace clickwise
