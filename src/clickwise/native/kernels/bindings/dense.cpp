#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "bindings/module.hpp"
#include "dense/tower.hpp"

namespace clickwise {
namespace {

using Weights = std::vector<In<float, 2>>;
using Biases = std::vector<std::optional<In<float, 1>>>;

// What of a tower does not change from batch to batch.
struct Shape {
  std::vector<bool> relu;
  std::vector<float> dropout;
  bool half;
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

DenseTower tower_of(const std::vector<DenseLayer>& layers, const Shape& shape, uint64_t seed) {
  return {layers.data(), int64_t(layers.size()), seed, shape.half};
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

}  // namespace

void add_dense(nb::module_& m) {
  nb::class_<Shape>(m, "DenseShape")
      .def("__init__",
           [](Shape* self, std::vector<bool> relu, std::vector<float> dropout, bool half) {
             new (self) Shape{std::move(relu), std::move(dropout), half};
           });
  m.def("dense_saved_bytes", &saved_bytes, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("rows"));
  m.def("dense_forward", &forward, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("seed"),
        nb::arg("x"), nb::arg("saved").none(), nb::arg("y"));
  m.def("dense_backward", &backward, nb::arg("weights"), nb::arg("biases"), nb::arg("shape"), nb::arg("x"),
        nb::arg("saved"), nb::arg("y"), nb::arg("grad_y"), nb::arg("grad_x").none(), nb::arg("grad_weights"),
        nb::arg("grad_biases"));
  m.def("dense_spin", [](bool half, int64_t steps) {
    nb::gil_scoped_release release;
    return dense().spin(half, steps);
  });
}

}  // namespace clickwise
