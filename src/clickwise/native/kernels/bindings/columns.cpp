#include "columns.hpp"

#include <nanobind/stl/tuple.h>

#include <cstring>

#include "bindings/module.hpp"
#include "machine/token_counter.hpp"

namespace clickwise {
namespace {

// `offsets` is [n + 1]; `validity` may be empty: no cell is null.
template <class O>
Text text_of(In<uint8_t, 1> bytes, In<O, 1> offsets, In<uint8_t, 1> validity, int64_t skip) {
  require(offsets.shape(0) >= 1, "offsets is not [n + 1]");
  const int64_t n = static_cast<int64_t>(offsets.shape(0)) - 1, size = static_cast<int64_t>(bytes.shape(0));
  const bool nulls = validity.shape(0) > 0;
  require(skip >= 0 && (!nulls || (skip + n + 7) / 8 <= int64_t(validity.shape(0))), "validity is shorter than n");
  int64_t before = 0;
  for (int64_t i = 0; i <= n; i++) {  // Arrow only promises this of arrays that were validated
    O at;
    std::memcpy(&at, offsets.data() + i, sizeof at);
    require(at >= before && at <= size, "offsets fall, or lead out of the bytes");
    before = at;
  }
  return {bytes.data(), size, offsets.data(), sizeof(O) == 8, nulls ? validity.data() : nullptr, skip, n};
}

// Adds one function for each type of offsets. `body(text, arguments...)` runs without the interpreter's lock.
template <class O, class... Arguments, class F>
void add_over(nb::module_& m, const char* name, F body) {
  m.def(name, [body](In<uint8_t, 1> bytes, In<O, 1> offsets, In<uint8_t, 1> validity, int64_t skip,
                     Arguments... arguments) {
    nb::gil_scoped_release release;
    return body(text_of<O>(bytes, offsets, validity, skip), arguments...);
  });
}

template <class... Arguments, class F>
void add_text(nb::module_& m, const char* name, F body) {
  add_over<int32_t, Arguments...>(m, name, body);
  add_over<int64_t, Arguments...>(m, name, body);
}

int32_t bits_of(int64_t directory) {
  for (int bits = 1; bits < 32; bits++)
    if (directory == (int64_t{1} << bits) + 1) return bits;
  throw std::invalid_argument("clickwise kernels: first is not [2^bits + 1]");
}

void directory(In<uint64_t, 1> hashes, Out<int32_t, 1> first) {
  const int64_t V = hashes.shape(0), buckets = static_cast<int64_t>(first.shape(0)) - 1;
  const int shift = 64 - bits_of(first.shape(0));
  require(V < INT32_MAX, "too many hashes");
  nb::gil_scoped_release release;
  int64_t at = 0;
  for (int64_t b = 0; b < buckets; b++) {
    while (at < V && (hashes.data()[at] >> shift) < static_cast<uint64_t>(b)) at++;
    first.data()[b] = static_cast<int32_t>(at);
  }
  first.data()[buckets] = static_cast<int32_t>(V);
}

void add_find(nb::module_& m) {
  using Hashes = In<uint64_t, 1>;
  using Ints = In<int32_t, 1>;
  add_text<uint64_t, Hashes, Ints, Ints, int32_t, int32_t, Out<int32_t, 1>>(
      m, "find_tokens",
      [](const Text& text, uint64_t seed, Hashes hashes, Ints ids, Ints first, int32_t otherwise, int32_t missing,
         Out<int32_t, 1> out) {
        const int64_t V = hashes.shape(0);
        const int bits = bits_of(first.shape(0));
        require(int64_t(ids.shape(0)) == V && first.data()[first.shape(0) - 1] == V, "ids or first is not of [V]");
        require(int64_t(out.shape(0)) == text.n, "out is not [n]");
        columns().find(text, {hashes.data(), ids.data(), first.data(), V, bits, seed}, otherwise, missing, out.data());
      });
}

void add_counter(nb::module_& m) {
  auto counter = nb::class_<TokenCounter>(m, "TokenCounter").def(nb::init<>());
  const auto add = [&counter]<class O>(O) {
    counter.def("add", [](TokenCounter& self, In<uint8_t, 1> bytes, In<O, 1> offsets, In<uint8_t, 1> validity,
                          int64_t skip, In<uint64_t, 1> hashes, int64_t error) {
      nb::gil_scoped_release release;
      const Text text = text_of<O>(bytes, offsets, validity, skip);
      require(int64_t(hashes.shape(0)) == text.n, "hashes is not [n]");
      return self.add(text, hashes.data(), error);
    });
  };
  add(int32_t{});
  add(int64_t{});
  counter.def("drop", &TokenCounter::drop, nb::call_guard<nb::gil_scoped_release>());
  counter.def("size", &TokenCounter::size);
  counter.def("bytes", &TokenCounter::bytes);
  counter.def("counts", [](const TokenCounter& self, Out<int64_t, 1> counts, Out<int64_t, 1> errors) {
    require(int64_t(counts.shape(0)) == self.size() && counts.shape(0) == errors.shape(0), "counts is not [size]");
    nb::gil_scoped_release release;
    self.counts(counts.data(), errors.data());
  });
  counter.def("tokens", [](const TokenCounter& self, Out<int64_t, 1> offsets, Out<uint8_t, 1> bytes) {
    require(int64_t(offsets.shape(0)) == self.size() + 1, "offsets is not [size + 1]");
    require(int64_t(bytes.shape(0)) == self.bytes(), "bytes is not [bytes]");
    nb::gil_scoped_release release;
    self.tokens(offsets.data(), bytes.data());
  });
}

void add_numbers(nb::module_& m) {
  add_text<Out<double, 1>, Out<uint8_t, 1>>(
      m, "parse_numbers", [](const Text& text, Out<double, 1> value, Out<uint8_t, 1> present) {
        require(int64_t(value.shape(0)) == text.n, "value is not [n]");
        require(int64_t(present.shape(0)) == (text.n + 7) / 8, "present is not [(n + 7) / 8]");
        return columns().numbers(text, value.data(), present.data());
      });
  m.def("place_numbers",
        [](In<double, 1> x, In<double, 1> cuts, int32_t first, int32_t missing, Out<int32_t, 1> out) {
          require(out.shape(0) == x.shape(0), "out is not [n]");
          nb::gil_scoped_release release;
          columns().place(x.data(), x.shape(0), cuts.data(), cuts.shape(0), first, missing, out.data());
        });
  m.def("sample_numbers", [](In<double, 1> x, uint64_t seen, uint64_t seed, uint64_t limit, Out<uint64_t, 1> hashes,
                             Out<double, 1> values) {
    require(hashes.shape(0) == x.shape(0) && values.shape(0) == x.shape(0), "hashes or values is not [n]");
    nb::gil_scoped_release release;
    int64_t counted = 0;
    const int64_t kept = columns().sample(x.data(), x.shape(0), seen, seed, limit, hashes.data(), values.data(), &counted);
    return std::tuple(kept, counted);
  });
}

}  // namespace

void add_columns(nb::module_& m) {
  add_text<>(m, "survey_text", [](const Text& text) {
    const Survey found = columns().survey(text);
    return std::tuple(found.longest, found.ascii);
  });
  add_text<uint64_t, Out<uint64_t, 1>>(m, "hash_text", [](const Text& text, uint64_t seed, Out<uint64_t, 1> out) {
    require(int64_t(out.shape(0)) == text.n, "out is not [n]");
    columns().hash(text, seed, out.data());
  });
  add_text<uint64_t, uint64_t, int32_t, int32_t, Out<int32_t, 1>>(
      m, "bucket_text",
      [](const Text& text, uint64_t seed, uint64_t buckets, int32_t first, int32_t missing, Out<int32_t, 1> out) {
        require(int64_t(out.shape(0)) == text.n, "out is not [n]");
        require(buckets >= 1 && buckets <= uint64_t(INT32_MAX - first), "the buckets do not fit int32");
        columns().bucket(text, seed, buckets, first, missing, out.data());
      });
  m.def("fingerprint_directory", &directory);
  add_find(m);
  add_numbers(m);
  add_counter(m);
}

}  // namespace clickwise
