// What a request in JSON says, as columns of text in Arrow's layout.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "requests/cells.hpp"
#include "requests/scanner.hpp"

namespace clickwise {

// A column of cells, each null, text, or (then all of them) a list of text, with which Arrow's buffers are made.
class Column {
 public:
  void start_text(int64_t row);  // the cell of `row`, which is behind those that are there; others between are null
  bool start_list(int64_t row);  // false where there is a cell that is no list
  void add_null(int64_t row);
  void end_list();

  void put_text(std::string_view text);  // a cell of text, or an element of the list that was started
  void put_null();                       // an element
  void put_bool(bool value);

  // After the last row: pads the column to `rows`, and packs the validity bits.
  void finish(int64_t rows);

  int64_t rows() const { return list_ ? int64_t(lists_.size()) - 1 : cells(); }
  int64_t cells() const { return int64_t(offsets_.size()) - 1; }
  bool list() const { return list_; }
  bool given() const { return given_; }               // whether a key was there
  bool all_bools() const { return bools_ > 0 && bools_ == texts_; }
  bool can_be_list() const { return list_ || texts_ == 0; }
  bool can_be_text() const { return !list_; }

  const Bytes& bytes() const { return bytes_; }
  const std::vector<int32_t>& offsets() const { return offsets_; }
  const std::vector<int32_t>& lists() const { return lists_; }
  const std::vector<uint8_t>& validity() const { return validity_; }            // bits; empty where nothing is null
  const std::vector<uint8_t>& list_validity() const { return list_validity_; }  // of the lists
  Cells view() const;

 private:
  void pad(int64_t row);

  Bytes bytes_;
  std::vector<int32_t> offsets_{0};  // [cells + 1]
  std::vector<uint8_t> validity_;    // a byte a cell, until `finish`
  std::vector<int32_t> lists_;       // [rows + 1], in cells
  std::vector<uint8_t> list_validity_;
  int64_t texts_ = 0, bools_ = 0;
  bool list_ = false, given_ = false;
};

// What is wrong with a request. A candidate is counted from 1 on; 0: none. A column of -1: none.
struct Problem {
  std::string what;
  int64_t byte = -1, candidate = 0;
  int column = -1;
  std::string value;
};

struct Request {
  std::vector<Column> user, candidates;  // [C] each
  int64_t count = 0;                     // candidates
  std::vector<std::string> ignored;
  std::unique_ptr<Problem> problem;

  Sides sides() const;  // views of the columns
};

// Reads requests of some columns. Nothing of it changes: several threads may use one.
class RequestReader {
 public:
  // lists [C]: whether a cell may be a list.
  RequestReader(std::vector<std::string> names, std::vector<bool> lists);

  // {"user": {..}, "candidates": [{..}, ..]}. Memory is a small multiple of `size`, and of candidates times columns.
  std::unique_ptr<Request> read(const uint8_t* body, int64_t size, int64_t max_candidates) const;

  int64_t columns() const { return int64_t(names_.size()); }

 private:
  friend class Reading;
  int find(std::string_view name, int guess) const;

  std::vector<std::string> names_;
  std::vector<bool> lists_;
  std::vector<int> order_;  // columns, by name
};

}  // namespace clickwise
