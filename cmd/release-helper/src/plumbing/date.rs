//! Dates, without a library for calendars.

/// Seconds since 1970-01-01 UTC as RFC 3339 with seconds: `2026-11-22T20:00:00Z`.
pub fn rfc3339(epoch_seconds: u64) -> String {
    let Date { year, month, day, hour, minute, second, .. } = Date::of(epoch_seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same as in HTTP (RFC 9110, section 5.6.7): `Sun, 22 Nov 2026 20:00:00 GMT`.
pub fn http(epoch_seconds: u64) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let Date { year, month, day, weekday, hour, minute, second } = Date::of(epoch_seconds);
    let (month, weekday) = (MONTHS[month as usize - 1], DAYS[weekday as usize]);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Days since a Thursday: 1970-01-01 was one.
    weekday: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Date {
    fn of(epoch_seconds: u64) -> Self {
        let (days, second) = (epoch_seconds / 86_400, epoch_seconds % 86_400);
        // Howard Hinnant's days-to-civil algorithm, for dates after 1970.
        let shifted = days + 719_468;
        let era = shifted / 146_097;
        let day_of_era = shifted % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            weekday: days % 7,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{http, rfc3339};

    #[test]
    fn days_of_leap_years_and_the_ends_of_the_range_are_right() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_391_999), "2026-11-22T23:59:59Z");
        assert_eq!(rfc3339(u64::MAX), "584554051223-11-09T07:00:15Z");
    }

    #[test]
    fn dates_of_http_have_a_weekday() {
        assert_eq!(http(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
