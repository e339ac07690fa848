#include "requests/request.hpp"

#include <algorithm>
#include <numeric>

#include "requests/number_text.hpp"

namespace clickwise {

Sides Request::sides() const {
  Sides found;
  found.count = count;
  for (const Column& column : user) found.user.push_back(column.view());
  for (const Column& column : candidates) found.candidates.push_back(column.view());
  return found;
}

constexpr int64_t kMostBytes = int64_t{1} << 28;  // the text of all cells, however it grows, is below 2^31 bytes
constexpr size_t kMostIgnored = 16;

RequestReader::RequestReader(std::vector<std::string> names, std::vector<bool> lists)
    : names_(std::move(names)), lists_(std::move(lists)), order_(names_.size()) {
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [this](int a, int b) { return names_[size_t(a)] < names_[size_t(b)]; });
}

// The column of this name, or -1; `guess` is looked at first.
int RequestReader::find(std::string_view name, int guess) const {
  if (size_t(guess) < names_.size() && names_[size_t(guess)] == name) return guess;
  const auto at = std::lower_bound(order_.begin(), order_.end(), name,
                                   [this](int column, std::string_view wanted) { return names_[size_t(column)] < wanted; });
  return at != order_.end() && names_[size_t(*at)] == name ? *at : -1;
}

// One request while it is read.
class Reading {
 public:
  Reading(const RequestReader& reader, const uint8_t* body, int64_t size, int64_t max_candidates, Request& request)
      : reader_(reader), scan_(body, size), max_candidates_(max_candidates), request_(request), behind_(reader.names_.size() + 1, -1) {}

  bool whole() {
    bool first = true, user = false, candidates = false;
    std::string_view key;
    if (!scan_.enter('{', 1)) return false;
    while (scan_.more('}', first)) {
      if (!scan_.key(unescaped_, key)) return false;
      bool& seen = key == "user" ? user : candidates;
      if (key != "user" && key != "candidates") {
        if (!ignore(key, 1)) return false;
        continue;
      }
      if (seen) return scan_.fail("user or candidates is there twice");
      seen = true;
      if (&seen == &user ? !read_user() : !read_candidates()) return false;
    }
    if (scan_.problem()) return false;
    if (!candidates) return scan_.fail("has no list of candidates; give \"candidates\": [{..}, ..]");
    return scan_.at_end() || scan_.fail("something stands behind the request");
  }

  // What went wrong.
  std::unique_ptr<Problem> problem() const {
    const char* what = what_ ? what_ : scan_.problem();
    return std::make_unique<Problem>(Problem{what ? what : "cannot be read", what_ ? -1 : scan_.byte(), candidate_, column_, value_});
  }

 private:
  bool ignore(std::string_view key, int depth) {
    auto& names = request_.ignored;
    if (names.size() < kMostIgnored && std::find(names.begin(), names.end(), key) == names.end()) names.emplace_back(key);
    return scan_.skip(depth);
  }

  bool read_user() {
    if (scan_.next() == 'n') return scan_.word("null");
    return object(request_.user, 0, 2);
  }

  bool read_candidates() {
    bool first = true;
    if (!scan_.enter('[', 2)) return false;
    while (scan_.more(']', first)) {
      if (request_.count == max_candidates_) return fail("has too many candidates");
      candidate_ = request_.count + 1;
      if (!object(request_.candidates, request_.count, 3)) return false;
      request_.count++;
    }
    candidate_ = 0;
    return !scan_.problem();
  }

  // The cells of a row.
  bool object(std::vector<Column>& columns, int64_t row, int depth) {
    bool first = true;
    std::string_view key;
    size_t before = columns.size();  // the column of the key before; at first none
    if (!scan_.enter('{', depth)) return false;
    while (scan_.more('}', first)) {
      if (!scan_.key(unescaped_, key)) return false;
      const int found = reader_.find(key, behind_[before]);
      if (found < 0) {
        if (!ignore(key, depth)) return false;
        continue;
      }
      behind_[before] = found;
      before = size_t(found);
      column_ = found;
      Column& column = columns[before];
      if (column.given() && column.rows() > row) return fail("is given twice");
      if (!cell(column, row, depth)) return false;
      column_ = -1;
    }
    return !scan_.problem();
  }

  bool cell(Column& column, int64_t row, int depth) {
    switch (scan_.next()) {
      case '[':
        return list(column, row, depth);
      case '{':
        return fail("is an object; give text, a number, true, false or null");
      case 'n':
        column.add_null(row);
        return scan_.word("null");
      default:
        if (!column.can_be_text()) return fail("holds lists and single values; give one or the other");
        column.start_text(row);
        return value(column);
    }
  }

  bool list(Column& column, int64_t row, int depth) {
    bool first = true;
    if (!reader_.lists_[size_t(column_)]) return fail("is a list; give one value");
    if (!column.start_list(row)) return fail("holds lists and single values; give one or the other");
    if (!scan_.enter('[', depth + 1)) return false;
    while (scan_.more(']', first)) {
      const uint8_t next = scan_.next();
      if (next == '[' || next == '{') return fail("is a list of lists or objects; give a list of values");
      if (next == 'n') {
        column.put_null();
        if (!scan_.word("null")) return false;
      } else if (!value(column)) {
        return false;
      }
    }
    column.end_list();
    return !scan_.problem();
  }

  // Text, a number, true or false.
  bool value(Column& column) {
    std::string_view text;
    bool whole;
    switch (scan_.next()) {
      case '"':
        if (!scan_.string(unescaped_, text)) return false;
        column.put_text(text);
        return true;
      case 't':
      case 'f':
        column.put_bool(scan_.next() == 't');
        return scan_.word(scan_.next() == 't' ? "true" : "false");
      default:
        if (!scan_.number(text, whole)) return false;
        if (whole) {
          column.put_text(text == "-0" ? "0" : text);
          return true;
        }
        char printed[kNumberText];
        const int length = fraction_text(text, printed);
        if (!length) {
          value_ = text.substr(0, 100);
          return fail("is too large for a number");
        }
        column.put_text({printed, size_t(length)});
        return true;
    }
  }

  // Something that is JSON, and no request.
  bool fail(const char* what) {
    what_ = what;
    return false;
  }

  const RequestReader& reader_;
  Scanner scan_;
  const int64_t max_candidates_;
  Request& request_;
  std::vector<int> behind_;  // the column whose key came behind that of each column, and first
  Bytes unescaped_;
  const char* what_ = nullptr;
  int64_t candidate_ = 0;
  int column_ = -1;
  std::string value_;
};

std::unique_ptr<Request> RequestReader::read(const uint8_t* body, int64_t size, int64_t max_candidates) const {
  auto request = std::make_unique<Request>();
  if (size > kMostBytes) {
    request->problem = std::make_unique<Problem>(Problem{"is larger than 256 MiB", -1, 0, -1, ""});
    return request;
  }
  request->user.resize(names_.size());
  request->candidates.resize(names_.size());
  Reading reading(*this, body, size, max_candidates, *request);
  if (!reading.whole()) {
    request->problem = reading.problem();
    return request;
  }
  for (Column& column : request->user) column.finish(1);
  for (Column& column : request->candidates) column.finish(request->count);
  return request;
}

}  // namespace clickwise
