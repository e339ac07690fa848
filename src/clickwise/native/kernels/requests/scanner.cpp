#include "requests/scanner.hpp"

#include <cstring>

namespace clickwise {
namespace {

bool is_digit(uint8_t c) { return uint8_t(c - '0') < 10; }

// Whether one of 8 bytes is a quote, a backslash, below a blank or above 127: what a run of plain text ends at. May say
// so of a byte behind such a one.
bool is_special(uint64_t word) {
  constexpr uint64_t ones = 0x0101010101010101, high = 0x8080808080808080;
  const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
  return (((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & high) != 0;
}

}  // namespace

uint8_t Scanner::next() {
  while (at_ < end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) at_++;
  return at_ < end_ ? *at_ : 0;
}

bool Scanner::string(Bytes& unescaped, std::string_view& found) {
  if (!take('"')) return fail("a string was expected");
  const uint8_t* run = at_;  // begin of what is not yet in `unescaped`
  bool copied = false;
  for (const uint8_t* p = at_;;) {
    while (end_ - p >= 8) {
      uint64_t word;
      std::memcpy(&word, p, sizeof word);
      if (is_special(word)) break;
      p += 8;
    }
    while (p < end_ && *p != '"' && *p != '\\' && *p >= 0x20 && *p < 0x80) p++;
    at_ = p;
    if (p == end_) return fail("a string does not end");
    if (*p == '"') break;
    if (*p < 0x20) return fail("a control character stands in a string");
    if (*p >= 0x80) {
      if (!utf8(p)) return fail("is not UTF-8");
      continue;
    }
    if (!copied) unescaped.clear();
    copied = true;
    unescaped.append(run, p - run);
    at_ = p + 1;
    if (!escape(unescaped)) return false;
    run = p = at_;
  }
  if (copied) {
    unescaped.append(run, at_ - run);
    found = {reinterpret_cast<const char*>(unescaped.data()), size_t(unescaped.size())};
  } else {
    found = {reinterpret_cast<const char*>(run), size_t(at_ - run)};
  }
  at_++;
  return true;
}

// What stands behind a backslash.
bool Scanner::escape(Bytes& out) {
  if (at_ == end_) return fail("a string does not end");
  static constexpr char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  const uint8_t c = *at_++;
  if (c != 'u') {
    const char* place = c ? std::strchr(from, c) : nullptr;
    if (!place) return fail("an escape is none of JSON");
    out.push(uint8_t(to[place - from]));
    return true;
  }
  uint32_t code, low;
  if (!hex(code)) return false;
  if (code >= 0xD800 && code < 0xE000) {
    if (code >= 0xDC00 || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return fail("half a surrogate pair");
    at_ += 2;
    if (!hex(low)) return false;
    if (low < 0xDC00 || low >= 0xE000) return fail("half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  if (code < 0x80) {
    out.push(uint8_t(code));
  } else {
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    out.push(uint8_t(lead[more] | code >> (6 * more)));
    for (int i = more - 1; i >= 0; i--) out.push(uint8_t(0x80 | (code >> (6 * i) & 0x3F)));
  }
  return true;
}

bool Scanner::hex(uint32_t& code) {
  code = 0;
  if (end_ - at_ < 4) return fail("an escape is none of JSON");
  for (int i = 0; i < 4; i++, at_++) {
    const uint8_t c = *at_, letter = uint8_t((c | 0x20) - 'a');
    if (!is_digit(c) && letter >= 6) return fail("an escape is none of JSON");
    code = code << 4 | uint32_t(is_digit(c) ? c - '0' : letter + 10);
  }
  return true;
}

// One character of two bytes or more; p is moved behind it.
bool Scanner::utf8(const uint8_t*& p) {
  const uint8_t lead = *p;
  const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
  if (lead < 0xC2 || lead > 0xF4 || end_ - p <= more) return false;
  uint32_t code = uint32_t(lead) & (0x3Fu >> more);
  for (int i = 1; i <= more; i++) {
    if ((p[i] & 0xC0) != 0x80) return false;
    code = code << 6 | (p[i] & 0x3Fu);
  }
  static constexpr uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  if (code < least[more] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
  p += more + 1;
  return true;
}

bool Scanner::word(std::string_view wanted) {
  if (size_t(end_ - at_) < wanted.size() || std::memcmp(at_, wanted.data(), wanted.size()) != 0)
    return fail("a value was expected");
  at_ += wanted.size();
  return true;
}

bool Scanner::number(std::string_view& found, bool& whole) {
  const uint8_t* const start = at_;
  const auto digits = [this] {
    const uint8_t* const first = at_;
    while (at_ < end_ && is_digit(*at_)) at_++;
    return at_ > first;
  };
  if (at_ < end_ && *at_ == '-') at_++;
  if (at_ < end_ && *at_ == '0')
    at_++;
  else if (!digits())
    return fail("a value was expected");
  const uint8_t* const integer_end = at_;
  if (at_ < end_ && *at_ == '.') {
    at_++;
    if (!digits()) return fail("a number has no digits behind its point");
  }
  if (at_ < end_ && (*at_ | 0x20) == 'e') {
    at_++;
    if (at_ < end_ && (*at_ == '+' || *at_ == '-')) at_++;
    if (!digits()) return fail("a number has no digits in its exponent");
  }
  whole = at_ == integer_end;
  found = {reinterpret_cast<const char*>(start), size_t(at_ - start)};
  return true;
}

bool Scanner::enter(uint8_t open, int depth) {
  if (depth > kMaxDepth) return fail("is nested too deep");
  return take(open) || fail(open == '{' ? "an object was expected" : "a list was expected");
}

bool Scanner::more(uint8_t close, bool& first) {
  const uint8_t c = next();
  if (c == close) {
    at_++;
    return false;
  }
  if (!first) {
    if (c != ',') return fail("a comma or the end of a list or object was expected");
    at_++;
  }
  first = false;
  return true;
}

bool Scanner::key(Bytes& unescaped, std::string_view& found) {
  if (next() != '"') return fail("a key was expected");
  return string(unescaped, found) && (take(':') || fail("a colon was expected"));
}

bool Scanner::skip(int depth) {
  std::string_view text;
  bool whole, first = true;
  switch (next()) {
    case '"':
      return string(skipped_, text);
    case 't':
      return word("true");
    case 'f':
      return word("false");
    case 'n':
      return word("null");
    case '[':
      if (!enter('[', depth + 1)) return false;
      while (more(']', first))
        if (!skip(depth + 1)) return false;
      return !problem_;
    case '{':
      if (!enter('{', depth + 1)) return false;
      while (more('}', first))
        if (!key(skipped_, text) || !skip(depth + 1)) return false;
      return !problem_;
    default:
      return number(text, whole);
  }
}

}  // namespace clickwise
