#include "requests/request.hpp"

namespace clickwise {
namespace {

// Bytes that are 0 or 1 to bits, the lowest first; to none where all are 1.
void pack(std::vector<uint8_t>& validity) {
  std::vector<uint8_t> bits((validity.size() + 7) / 8);
  size_t set = 0;
  for (size_t i = 0; i < validity.size(); i++) {
    bits[i / 8] = uint8_t(bits[i / 8] | validity[i] << (i % 8));
    set += validity[i];
  }
  validity = set == validity.size() ? std::vector<uint8_t>() : bits;
}

}  // namespace

void Column::pad(int64_t row) {
  given_ = true;
  while (rows() < row) {
    if (list_) {
      lists_.push_back(int32_t(cells()));
      list_validity_.push_back(0);
    } else {
      put_null();
    }
  }
}

void Column::start_text(int64_t row) { pad(row); }

void Column::add_null(int64_t row) { pad(row + 1); }

bool Column::start_list(int64_t row) {
  if (!can_be_list()) return false;
  if (!list_) {  // so far all null
    const int64_t before = cells();
    list_ = true;
    offsets_.assign(1, 0);
    validity_.clear();
    lists_.assign(size_t(before) + 1, 0);
    list_validity_.assign(size_t(before), 0);
  }
  pad(row);
  return true;
}

void Column::end_list() {
  lists_.push_back(int32_t(cells()));
  list_validity_.push_back(1);
}

void Column::put_text(std::string_view text) {
  bytes_.append(text);
  offsets_.push_back(int32_t(bytes_.size()));
  validity_.push_back(1);
  texts_++;
}

void Column::put_null() {
  offsets_.push_back(int32_t(bytes_.size()));
  validity_.push_back(0);
}

void Column::put_bool(bool value) {
  put_text(value ? "true" : "false");
  bools_++;
}

void Column::finish(int64_t rows) {
  if (!given_) return;
  pad(rows);
  pack(validity_);
  if (list_) pack(list_validity_);
}

Cells Column::view() const {
  if (!given_) return {};
  const uint8_t* const validity = validity_.empty() ? nullptr : validity_.data();
  Cells view;
  view.kind = Cells::kText;
  view.n = rows();
  view.text = {bytes_.data(), bytes_.size(), offsets_.data(), false, validity, 0, cells()};
  view.all_bools = all_bools();
  if (list_) view.lists = lists_.data();
  return view;
}

}  // namespace clickwise
