// Times in the usual spellings, as training reads them (see features/timestamps.py), and their parts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "requests/cells.hpp"

namespace clickwise {

enum TimePart { kMinute, kHour, kWeekday, kHourOfWeek, kDay, kMonth };

// The part of a time, counted from 0.
int32_t part_of_time(TimePart part, int64_t microseconds);

// Whether times of a `strptime` format can be read here: fields of two digits (%Y: four), a year, a month and a day among
// them, each once.
bool can_read_format(std::string_view format);

// The cells as microseconds [n], kNoTime where one is missing. Without a format: ISO 8601 and Unix times. False on meeting
// one that is written otherwise, though training may be able to read it.
bool times_of(const Cells& cells, const std::string& format, std::vector<int64_t>& found);

}  // namespace clickwise
