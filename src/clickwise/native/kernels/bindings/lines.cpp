#include "lines.hpp"

#include <nanobind/stl/tuple.h>

#include <memory>
#include <vector>

#include "bindings/module.hpp"

namespace clickwise {
namespace {

// What was cut last, and where its cells are.
class LineCutter {
 public:
  explicit LineCutter(int64_t C) : C_(C), sizes_(C > 0 ? C : 0) { require(C > 0, "a line has no cells"); }

  auto cut(In<uint8_t, 1> bytes, uint8_t delimiter, bool quotes, Out<int32_t, 2> bad) {
    const int64_t size = bytes.shape(0);
    require(size < INT32_MAX && (!size || bytes.data()[size - 1] == '\n'), "the last line does not end, or too late");
    require(delimiter != '\n' && delimiter != '\r', "the delimiter ends lines");
    require(bad.shape(0) > 0 && bad.shape(1) == 4, "bad is not [, 4]");
    nb::gil_scoped_release release;
    const int64_t most_rows = size / (C_ + 1) + 1;  // more only where most cells are empty; then it is cut in pieces
    if (most_rows > room_) bounds_.reset(new int32_t[most_rows * (C_ + 1)]);  // pages that stay untouched cost nothing
    room_ = most_rows > room_ ? most_rows : room_;
    done_ = lines().cut({bytes.data(), size, delimiter, quotes, C_}, most_rows, bad.shape(0), bounds_.get(),
                        sizes_.data(), bad.data());
    return std::tuple(done_.consumed, done_.rows, done_.bad);
  }

  // Bytes of each cell over all rows.
  void sizes(Out<int64_t, 1> out) const {
    require(int64_t(out.shape(0)) == C_, "sizes is not [C]");
    for (int64_t c = 0; c < C_; c++) out.data()[c] = sizes_[c];
  }

  void fill(In<uint8_t, 1> bytes, In<int32_t, 1> wanted, In<uint8_t, 1> nulls, In<int32_t, 1> ends,
            In<int64_t, 1> starts, Out<int32_t, 2> offsets, Out<uint8_t, 2> validity, Out<uint8_t, 1> data,
            Out<int64_t, 1> null_counts) const {
    const int64_t W = wanted.shape(0), K = ends.shape(0), rows = done_.rows;
    require(int64_t(bytes.shape(0)) >= done_.consumed, "bytes is not what was cut");
    for (int64_t k = 0, begin = 0; k < K; begin = ends.data()[k++])
      require(begin <= ends.data()[k] && ends.data()[k] <= int64_t(nulls.shape(0)), "ends of nulls fall or lead out");
    require(int64_t(offsets.shape(0)) == W && int64_t(offsets.shape(1)) > rows, "offsets is not [W, more than rows]");
    require(int64_t(validity.shape(0)) == W && int64_t(validity.shape(1)) >= (rows + 63) / 64 * 8,
            "validity is not [W, 8 for every 64 rows]");
    require(int64_t(starts.shape(0)) == W + 1 && int64_t(null_counts.shape(0)) == W, "starts is not [W + 1]");
    require(starts.data()[W] <= int64_t(data.shape(0)), "data is shorter than its columns");
    for (int64_t w = 0; w < W; w++) {
      const int64_t c = wanted.data()[w];
      require(0 <= c && c < C_, "there is no such cell");
      require(starts.data()[w] >= 0 && starts.data()[w + 1] - starts.data()[w] >= sizes_[c] + kLineSlack,
              "a column has too little room");
    }
    nb::gil_scoped_release release;
    lines().fill({bytes.data(), int64_t(bytes.shape(0)), bounds_.get(), rows, C_, wanted.data(), W, nulls.data(),
                  ends.data(), K},
                 offsets.data(), offsets.shape(1), validity.data(), validity.shape(1), starts.data(), data.data(),
                 null_counts.data());
  }

 private:
  const int64_t C_;
  std::vector<int64_t> sizes_;
  std::unique_ptr<int32_t[]> bounds_;  // [room_, C + 1]
  int64_t room_ = 0;
  Cut done_{0, 0, 0};
};

}  // namespace

void add_lines(nb::module_& m) {
  m.attr("line_slack") = kLineSlack;
  nb::class_<LineCutter>(m, "LineCutter")
      .def(nb::init<int64_t>())
      .def("cut", &LineCutter::cut)
      .def("sizes", &LineCutter::sizes)
      .def("fill", &LineCutter::fill);
}

}  // namespace clickwise
