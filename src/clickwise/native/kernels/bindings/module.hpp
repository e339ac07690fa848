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

// Starts of consecutive runs that are the slots [0, count) together.
inline void require_starts(const In<int32_t, 1>& starts, int64_t count, const char* what) {
  const int64_t n = starts.shape(0);
  require(n > 0 && starts.data()[0] == 0 && starts.data()[n - 1] == count, what);
  for (int64_t i = 1; i < n; i++) require(starts.data()[i - 1] <= starts.data()[i], what);
}

// Rows of a table of V.
inline void require_rows(const In<int32_t, 1>& rows, int64_t V) {
  const uint32_t limit = static_cast<uint32_t>(V);
  uint32_t outside = 0;
  for (size_t i = 0; i < rows.shape(0); i++) outside |= uint32_t(static_cast<uint32_t>(rows.data()[i]) >= limit);
  if (outside) throw std::out_of_range("a batch names a table row that is not in the table");
}

void add_attention(nb::module_&);
void add_bilinear(nb::module_&);
void add_columns(nb::module_&);
void add_cross(nb::module_&);
void add_dense(nb::module_&);
void add_distinct(nb::module_&);
void add_interactions(nb::module_&);
void add_lines(nb::module_&);
void add_memory(nb::module_&);
void add_norm(nb::module_&);
void add_pooling(nb::module_&);
void add_ranking(nb::module_&);
void add_requests(nb::module_&);
void add_updates(nb::module_&);

}  // namespace clickwise
