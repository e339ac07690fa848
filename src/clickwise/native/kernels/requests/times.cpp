#include "requests/times.hpp"

#include <charconv>
#include <cmath>
#include <vector>

namespace clickwise {
namespace {

constexpr int64_t kMinuteUs = 60'000'000, kDayMinutes = 24 * 60;

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

// Days since 1970-01-01 of a date, and back: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
int64_t days_of(int64_t y, int m, int d) {
  y -= m <= 2;
  const int64_t era = floor_div(y, 400), year = y - era * 400;
  const int64_t day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

void date_of(int64_t days, int& month, int& day) {
  days += 719468;
  const int64_t era = floor_div(days, 146097), of_era = days - era * 146097;
  const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  const int64_t of_year = of_era - (365 * year + year / 4 - year / 100), shifted = (5 * of_year + 2) / 153;
  day = int(of_year - (153 * shifted + 2) / 5 + 1);
  month = int(shifted + (shifted < 10 ? 3 : -9));
}

struct Clock {
  int year = 1900, month = 1, day = 1, hour = 0, minute = 0, second = 0;

  bool at(int64_t& microseconds) const {
    static constexpr int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > lengths[month - 1] + (leap && month == 2)) return false;
    microseconds = ((days_of(year, month, day) * kDayMinutes + hour * 60 + minute) * 60 + second) * 1'000'000;
    return true;
  }
};

// Text that is read from its begin on.
class Reading {
 public:
  explicit Reading(std::string_view text) : text_(text) {}

  bool at_end() const { return at_ == text_.size(); }
  bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    at_++;
    return true;
  }
  // So many digits.
  bool digits(int count, int& number) {
    number = 0;
    for (int i = 0; i < count; i++, at_++) {
      const int digit = at_end() ? 10 : text_[at_] - '0';
      if (digit < 0 || digit > 9) return false;
      number = number * 10 + digit;
    }
    return true;
  }
  // The digits of a fraction, one to six, in millionths.
  bool fraction(int64_t& millionths) {
    int digit, count = 0;
    for (millionths = 0; count < 6 && !at_end() && text_[at_] >= '0' && text_[at_] <= '9'; count++) {
      digits(1, digit);
      millionths = millionths * 10 + digit;
    }
    for (int i = count; i < 6; i++) millionths *= 10;
    return count > 0;
  }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

// 2026-01-31, and then T or a blank, 23:59:59, .123456, and Z or +01:00.
bool read_iso(std::string_view text, int64_t& microseconds) {
  Reading in(text);
  Clock clock;
  if (!in.digits(4, clock.year) || clock.year < 1 || !in.take('-') || !in.digits(2, clock.month) || !in.take('-') ||
      !in.digits(2, clock.day))
    return false;
  if (in.at_end()) return clock.at(microseconds);
  if (!in.take('T') && !in.take(' ')) return false;
  if (!in.digits(2, clock.hour) || !in.take(':') || !in.digits(2, clock.minute) || !in.take(':') ||
      !in.digits(2, clock.second) || !clock.at(microseconds))
    return false;
  int64_t fraction;
  if (in.take('.')) {
    if (!in.fraction(fraction)) return false;
    microseconds += fraction;
  }
  if (in.at_end() || in.take('Z')) return in.at_end();
  const bool behind = in.take('+');
  int hours, minutes;
  if (!behind && !in.take('-')) return false;
  if (!in.digits(2, hours) || !in.take(':') || !in.digits(2, minutes) || hours > 23 || minutes > 59) return false;
  microseconds -= (behind ? 1 : -1) * (hours * 60 + minutes) * kMinuteUs;
  return in.at_end();
}

bool read_format(std::string_view text, const std::string& format, int64_t& microseconds) {
  Reading in(text);
  Clock clock;
  for (size_t i = 0; i < format.size(); i++) {
    if (format[i] != '%') {
      if (!in.take(format[i])) return false;
      continue;
    }
    const char field = format[++i];
    int& to = field == 'm' ? clock.month
              : field == 'd' ? clock.day
              : field == 'H' ? clock.hour
              : field == 'M' ? clock.minute
              : field == 'S' ? clock.second
                             : clock.year;
    if (!in.digits(field == 'Y' ? 4 : 2, to)) return false;
    if (field == 'y') to += to < 69 ? 2000 : 1900;
    if (field == 'Y' && to < 1000) return false;
  }
  return in.at_end() && clock.at(microseconds);
}

// Of a number the digits before the point say the unit.
bool unix_time(double x, int64_t& microseconds) {
  static constexpr double powers[] = {1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9, 1e10,
                                      1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19};
  static constexpr double factors[] = {0, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 0, 1e6, 1e6, 0, 1e3, 1e3, 0, 1, 1, 0, 1e-3, 1e-3, 0};
  int digits = 1;
  for (const double power : powers) digits += std::trunc(std::fabs(x)) >= power;
  if (factors[digits] == 0) return false;
  microseconds = static_cast<int64_t>(std::nearbyint(x * factors[digits]));
  return true;
}

bool read_unix(std::string_view text, int64_t& microseconds) {
  double x;
  for (const char c : text)
    if (c != '.' && c != '-' && (c < '0' || c > '9')) return false;
  if (text[0] == '.' || text[text.size() - 1] == '.') return false;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), x);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && unix_time(x, microseconds);
}

}  // namespace

int32_t part_of_time(TimePart part, int64_t microseconds) {
  const int64_t minutes = floor_div(microseconds, kMinuteUs), days = floor_div(minutes, kDayMinutes);
  const int64_t of_day = minutes - days * kDayMinutes, weekday = days + 3 - floor_div(days + 3, 7) * 7;
  int month, day;
  switch (part) {
    case kMinute:
      return int32_t(of_day % 60);
    case kHour:
      return int32_t(of_day / 60);
    case kWeekday:  // 1970-01-01 was a Thursday
      return int32_t(weekday);
    case kHourOfWeek:
      return int32_t(weekday * 24 + of_day / 60);
    default:
      date_of(days, month, day);
      return int32_t(part == kDay ? day - 1 : month - 1);
  }
}

bool can_read_format(std::string_view format) {
  std::string fields;
  for (size_t i = 0; i < format.size(); i++) {
    const auto c = static_cast<unsigned char>(format[i]);
    if (c != '%') {
      if (c <= ' ' || c >= 0x7F) return false;  // blanks stand for any number of blanks
      continue;
    }
    if (++i == format.size()) return false;
    const char field = format[i] == 'y' ? 'Y' : format[i];
    if (std::string_view("YmdHMS").find(field) == std::string_view::npos || fields.find(field) != std::string::npos) return false;
    fields += field;
  }
  return fields.find('Y') != std::string::npos && fields.find('m') != std::string::npos && fields.find('d') != std::string::npos;
}

bool times_of(const Cells& cells, const std::string& format, std::vector<int64_t>& found) {
  found.assign(size_t(cells.n), kNoTime);
  if (cells.kind == Cells::kTime) {
    for (int64_t i = 0; i < cells.n; i++) found[size_t(i)] = cells.times[i];
    return true;
  }
  if (cells.kind == Cells::kReal && format.empty()) {
    for (int64_t i = 0; i < cells.n; i++)
      if (std::isfinite(cells.reals[i]) && !unix_time(cells.reals[i], found[size_t(i)])) return false;
    return true;
  }
  TextOf made;
  Text text;
  if (cells.lists || cells.all_bools || !tokens_of(cells, made, text)) return false;
  for (int64_t i = 0; i < cells.n; i++) {
    const std::string_view cell = cell_of(text, i);
    int64_t& to = found[size_t(i)];
    if (cell.empty()) continue;
    if (!format.empty() ? !read_format(cell, format, to) : !read_iso(cell, to) && !read_unix(cell, to)) return false;
  }
  return true;
}

}  // namespace clickwise
