// Strict JSON (RFC 8259), from the first byte to the last, without a tree.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace clickwise {

constexpr int kMaxDepth = 32;  // arrays and objects inside each other

// Bytes that grow.
class Bytes {
 public:
  void append(const uint8_t* from, int64_t count) {
    if (count > 0) bytes_.insert(bytes_.end(), from, from + count);
  }
  void append(std::string_view text) { append(reinterpret_cast<const uint8_t*>(text.data()), int64_t(text.size())); }
  void push(uint8_t byte) { bytes_.push_back(byte); }
  void clear() { bytes_.clear(); }
  int64_t size() const { return int64_t(bytes_.size()); }
  const uint8_t* data() const { return bytes_.data(); }

 private:
  std::vector<uint8_t> bytes_;
};

// Where in the text we are. What is wrong is said by `problem`, and nothing is read from then on: each function gives
// false where it was not what it looked for.
class Scanner {
 public:
  Scanner(const uint8_t* text, int64_t size) : begin_(text), at_(text), end_(text + size) {}

  const char* problem() const { return problem_; }
  int64_t byte() const { return at_ - begin_; }
  bool fail(const char* problem) {
    if (!problem_) problem_ = problem;
    return false;
  }

  // The next byte that is no blank; 0 at the end. It stays where it is.
  uint8_t next();
  bool take(uint8_t wanted) {
    if (next() != wanted) return false;
    at_++;
    return true;
  }
  bool at_end() { return next() == 0 && at_ == end_; }

  // A string, from its first quote, as UTF-8: a view of the text, or of `unescaped`, which is written where it has to be.
  bool string(Bytes& unescaped, std::string_view& found);
  bool word(std::string_view wanted);
  // A number as it is written, and whether it has neither fraction nor exponent.
  bool number(std::string_view& found, bool& whole);
  // Any value, of which nothing is kept; `depth` of it is what it is inside of.
  bool skip(int depth);

  // The begin of an array or object that is `depth` deep; then `more` says, before each of its members, whether there is
  // one.
  bool enter(uint8_t open, int depth);
  bool more(uint8_t close, bool& first);
  // A key and its colon.
  bool key(Bytes& unescaped, std::string_view& found);

 private:
  bool escape(Bytes& out);
  bool hex(uint32_t& code);
  bool utf8(const uint8_t*& p);

  const uint8_t* begin_;
  const uint8_t* at_;
  const uint8_t* end_;
  const char* problem_ = nullptr;
  Bytes skipped_;
};

}  // namespace clickwise
