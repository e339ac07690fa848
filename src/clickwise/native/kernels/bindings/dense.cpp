#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <vector>

#include "bindings/module.hpp"
#include "dense/tower.hpp"

namespace clickwise {
namespace {

using Weights = std::vector<In<float, 2>>;
using Biases = std::vector<std::optional<In<float, 1>>>;

// What of a tower, or of a cross network, does not change from batch to batch.
struct Shape {
  std::vector<bool> relu;
  std::vector<float> dropout;
  bool half;
  int64_t links;
};

std::vector<DenseLayer> layers_of(const Weights& weights, const Biases& biases, const Shape& shape) {
  const size_t count = weights.size();
  require(count > 0 && count <= kMostLayers, "a tower has 1 to 64 layers");
  require(biases.size() == count && shape.relu.size() == count && shape.dropout.size() == count,
          "weights, biases, relu and dropout are not equally many");
  std::vector<DenseLayer> layers;
  for (size_t l = 0; l < count; l++) {
    const int64_t N = weights[l].shape(0), K = weights[l].shape(1);
    require(N > 0 && K > 0, "a layer is empty");
    require(l == 0 || K == layers.back().N, "a layer does not fit the one before it");
    require(!biases[l] || int64_t(biases[l]->shape(0)) == N, "a bias is not [N]");
    require(shape.dropout[l] >= 0 && shape.dropout[l] < 1, "dropout is not in [0, 1)");
    require(shape.dropout[l] == 0 || shape.relu[l], "dropout without ReLU");
    layers.push_back({weights[l].data(), biases[l] ? biases[l]->data() : nullptr, K, N, shape.relu[l], shape.dropout[l]});
  }
  return layers;
}

void check_crosses(const std::vector<DenseLayer>& layers, int64_t links) {
  require(links == 1 || links == 2, "a cross is made of 1 or 2 linear layers");
  require(int64_t(layers.size()) % links == 0, "the linear layers do not make whole crosses");
  for (size_t l = 0; l < layers.size(); l++) {
    require(!layers[l].relu, "a cross has no ReLU");
    require((int64_t(l) + 1) % links || layers[l].N == layers[0].K, "a cross does not give what it takes");
  }
}

DenseTower tower_of(const std::vector<DenseLayer>& layers, const Shape& shape, uint64_t seed) {
  if (shape.links) check_crosses(layers, shape.links);
  return {layers.data(), int64_t(layers.size()), seed, shape.half, shape.links};
}

void check_rows(const DenseTower& tower, In<float, 2> x, size_t y_rows, size_t y_columns) {
  require(int64_t(x.shape(1)) == tower.layers[0].K, "x is not [B, K]");
  require(y_rows == x.shape(0) && int64_t(y_columns) == tower.layers[tower.count - 1].N, "y is not [B, N]");
}

void check_saved(const DenseTower& tower, int64_t B, size_t bytes) {
  require(int64_t(bytes) == dense().saved_bytes(tower, B), "saved is not of saved_bytes");
}

int64_t saved_bytes(const Weights& weights, const Biases& biases, const Shape& shape, int64_t B) {
  const std::vector<DenseLayer> layers = layers_of(weights, biases, shape);
  return dense().saved_bytes(tower_of(layers, shape, 0), B);
}

void forward(const Weights& weights, const Biases& biases, const Shape& shape, uint64_t seed, In<float, 2> x,
             std::optional<Out<uint8_t, 1>> saved, Out<float, 2> y) {
  const std::vector<DenseLayer> layers = layers_of(weights, biases, shape);
  const DenseTower tower = tower_of(layers, shape, seed);
  check_rows(tower, x, y.shape(0), y.shape(1));
  if (saved) check_saved(tower, x.shape(0), saved->shape(0));
  nb::gil_scoped_release release;
  dense().forward(tower, x.data(), x.shape(0), saved ? saved->data() : nullptr, y.data());
}

void backward(const Weights& weights, const Biases& biases, const Shape& shape, In<float, 2> x, In<uint8_t, 1> saved,
              In<float, 2> y, In<float, 2> grad_y, std::optional<Out<float, 2>> grad_x,
              std::vector<std::optional<Out<float, 2>>> grad_weights,
              std::vector<std::optional<Out<float, 1>>> grad_biases) {
  std::vector<DenseLayer> layers = layers_of(weights, biases, shape);
  const DenseTower tower = tower_of(layers, shape, 0);
  check_rows(tower, x, y.shape(0), y.shape(1));
  check_rows(tower, x, grad_y.shape(0), grad_y.shape(1));
  check_saved(tower, x.shape(0), saved.shape(0));
  require(grad_x || !shape.links, "a cross network needs grad_x");
  require(!grad_x || (grad_x->shape(0) == x.shape(0) && grad_x->shape(1) == x.shape(1)), "grad_x is not [B, K]");
  require(grad_weights.size() == layers.size() && grad_biases.size() == layers.size(), "not a gradient for each layer");
  for (size_t l = 0; l < layers.size(); l++) {
    auto& weight = grad_weights[l];
    auto& bias = grad_biases[l];
    require(!weight || (int64_t(weight->shape(0)) == layers[l].N && int64_t(weight->shape(1)) == layers[l].K),
            "a gradient of weights is not [N, K]");
    require(!bias || int64_t(bias->shape(0)) == layers[l].N, "a gradient of a bias is not [N]");
    layers[l].grad_weight = weight ? weight->data() : nullptr;
    layers[l].grad_bias = bias ? bias->data() : nullptr;
  }
  nb::gil_scoped_release release;
  dense().backward(tower, x.data(), x.shape(0), saved.data(), y.data(), grad_y.data(), grad_x ? grad_x->data() : nullptr);
}

// Columns of rows of `width`, in order.
std::vector<Run> runs_of(In<int64_t, 2> runs, int64_t width) {
  require(runs.shape(1) == 2, "runs are not [n, 2]");
  std::vector<Run> found;
  int64_t behind = 0;
  for (size_t i = 0; i < runs.shape(0); i++) {
    const Run run{runs.data()[2 * i], runs.data()[2 * i + 1]};
    require(behind <= run.first && run.first < run.last && run.last <= width, "runs are not in order within a row");
    behind = run.last;
    found.push_back(run);
  }
  return found;
}

int64_t length(const std::vector<Run>& runs) {
  int64_t total = 0;
  for (const Run& run : runs) total += run.last - run.first;
  return total;
}

// A tower to score with; keeps the arrays that it reads.
class Scorer {
 public:
  Scorer(Weights weights, Biases biases, Shape shape, std::optional<In<float, 2>> shared_weight, In<int64_t, 2> own,
         In<int64_t, 2> shared, int64_t width)
      : weights_(std::move(weights)), biases_(std::move(biases)), shape_(std::move(shape)),
        shared_weight_(std::move(shared_weight)), layers_(layers_of(weights_, biases_, shape_)),
        own_(runs_of(own, width)), shared_(runs_of(shared, width)), width_(width) {
    const int64_t K_shared = length(shared_);
    require(length(own_) == layers_[0].K, "own columns are not K of the first layer");
    require(shape_.links == 0, "a cross network cannot be scored so");
    require(bool(shared_weight_) == (K_shared > 0), "shared columns without their weights, or the other way round");
    require(!shared_weight_ || (int64_t(shared_weight_->shape(0)) == layers_[0].N &&
                                int64_t(shared_weight_->shape(1)) == K_shared),
            "shared_weight is not [N of the first, shared columns]");
    const DenseTower tower = tower_of(layers_, shape_, 0);
    packed_ = std::make_unique<Line[]>((dense().packed_bytes(tower) + sizeof(Line) - 1) / sizeof(Line));
    dense().pack(tower, packed_[0].bytes);
  }

  void score(In<float, 2> x, Out<float, 2> y) const {
    const DenseTower tower = tower_of(layers_, shape_, 0);
    require(int64_t(x.shape(1)) == width_, "x is not [B, width]");
    require(y.shape(0) == x.shape(0) && int64_t(y.shape(1)) == layers_.back().N, "y is not [B, N]");
    const PackedTower packed{tower,
                             packed_[0].bytes,
                             own_.data(),
                             int64_t(own_.size()),
                             shared_.data(),
                             int64_t(shared_.size()),
                             shared_weight_ ? shared_weight_->data() : nullptr,
                             length(shared_),
                             width_};
    nb::gil_scoped_release release;
    dense().score(packed, x.data(), x.shape(0), y.data());
  }

 private:
  struct alignas(64) Line {
    uint8_t bytes[64];
  };

  Weights weights_;
  Biases biases_;
  Shape shape_;
  std::optional<In<float, 2>> shared_weight_;
  std::vector<DenseLayer> layers_;
  std::vector<Run> own_, shared_;
  int64_t width_;
  std::unique_ptr<Line[]> packed_;
};

}  // namespace

void add_dense(nb::module_& m) {
  nb::class_<Shape>(m, "DenseShape")
      .def("__init__",
           [](Shape* self, std::vector<bool> relu, std::vector<float> dropout, bool half, int64_t links) {
             new (self) Shape{std::move(relu), std::move(dropout), half, links};
           },
           nb::arg("relu"), nb::arg("dropout"), nb::arg("half"), nb::arg("links") = 0);
  m.def("dense_saved_bytes", &saved_bytes, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("rows"));
  m.def("dense_forward", &forward, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("seed"),
        nb::arg("x"), nb::arg("saved").none(), nb::arg("y"));
  m.def("dense_backward", &backward, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("x"),
        nb::arg("saved"), nb::arg("y"), nb::arg("grad_y"), nb::arg("grad_x").none(), nb::arg("grad_weights"),
        nb::arg("grad_biases"));
  nb::class_<Scorer>(m, "DenseScorer")
      .def("__init__",
           [](Scorer* self, Weights weights, Biases biases, Shape shape, std::optional<In<float, 2>> shared_weight,
              In<int64_t, 2> own, In<int64_t, 2> shared, int64_t width) {
             new (self) Scorer(std::move(weights), std::move(biases), std::move(shape), std::move(shared_weight), own,
                               shared, width);
           },
           nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("shared_weight").none(), nb::arg("own"),
           nb::arg("shared"), nb::arg("width"))
      .def("score", &Scorer::score, nb::arg("x"), nb::arg("y"));
  m.def("dense_spin", [](bool half, int64_t steps) {
    nb::gil_scoped_release release;
    return dense().spin(half, steps);
  });
}

}  // namespace clickwise
