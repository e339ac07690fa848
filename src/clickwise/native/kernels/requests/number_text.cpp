#include "requests/number_text.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace clickwise {
namespace {

// Whether a number that floating point cannot hold is too large; else it is too small, and counts as 0.
bool is_large(std::string_view number) {
  int64_t power = 0;  // of ten of the first digit that is not 0
  bool found = false, behind = false;
  size_t i = number[0] == '-';
  for (; i < number.size() && (number[i] | 0x20) != 'e'; i++) {
    if (number[i] == '.') {
      behind = true;
    } else if (!found) {
      found = number[i] != '0';
      power -= behind;
    } else if (!behind) {
      power++;
    }
  }
  int64_t exponent = 0;
  if (i < number.size()) {
    const size_t sign = number[i + 1] == '+' || number[i + 1] == '-';
    for (size_t j = i + 1 + sign; j < number.size() && exponent < INT64_MAX / 100; j++)
      exponent = exponent * 10 + (number[j] - '0');
    if (number[i + 1] == '-') exponent = -exponent;
  }
  return found && power + exponent > 0;
}

}  // namespace

int fraction_text(std::string_view number, char* to) {
  double x = 0.0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), x);
  if (read.ec == std::errc::result_out_of_range) {
    if (is_large(number)) return 0;
    x = 0.0;
  }
  return std::isfinite(x) ? real_text(x, to) : 0;
}

int real_text(double x, char* to) {
  if (std::fabs(x) < 9223372036854775808.0 && x == std::trunc(x))
    return int(std::to_chars(to, to + kNumberText, static_cast<int64_t>(x)).ptr - to);
  char text[kNumberText];
  char* const end = std::to_chars(text, text + kNumberText, x, std::chars_format::scientific).ptr;
  char* const mark = static_cast<char*>(std::memchr(text, 'e', size_t(end - text)));
  int exponent = 0;
  std::from_chars(mark + 1 + (mark[1] == '+'), end, exponent);
  if (exponent < -4 || exponent >= 16) {
    std::memcpy(to, text, size_t(end - text));
    return int(end - text);
  }
  char* out = to;
  const char* digits = text;
  if (*digits == '-') *out++ = *digits++;
  const int count = mark - digits > 1 ? int(mark - digits) - 1 : 1;  // without the point
  const auto digit = [=](int i) { return i >= count ? '0' : digits[i ? i + 1 : 0]; };
  if (exponent < 0) *out++ = '0', *out++ = '.';
  for (int i = exponent + 1; i < 0; i++) *out++ = '0';
  for (int i = 0; i < count || i <= exponent; i++) {
    if (i == exponent + 1 && i > 0) *out++ = '.';
    *out++ = digit(i);
  }
  return int(out - to);
}

}  // namespace clickwise
