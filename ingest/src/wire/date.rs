//! Days of the calendar, as plain integers.

/// A day of the proleptic Gregorian calendar, which exists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// The day, if there is such a day.
    pub(super) fn new(year: u32, month: u32, day: u32) -> Option<Self> {
        let date = Self { year, month, day };
        let is_day = day >= 1 && (day <= 28 || day <= date.days_in_month());
        (is_day && (1..=12).contains(&month)).then_some(date)
    }

    /// Whether this is the day of Go's zero time.
    pub(super) fn is_go_zero(self) -> bool {
        (self.year, self.month, self.day) == (1, 1, 1)
    }

    fn days_in_month(self) -> u32 {
        let is_leap = self.year.is_multiple_of(4) && !self.year.is_multiple_of(100)
            || self.year.is_multiple_of(400);
        match self.month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Days since 1970-01-01.
    pub(super) fn days(self) -> i64 {
        // Years begin in March here, so that the leap day is the last day of its year.
        let (month, year) = match self.month {
            1 | 2 => (self.month + 9, i64::from(self.year) - 1),
            _ => (self.month - 3, i64::from(self.year)),
        };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = i64::from((153 * month + 2) / 5 + self.day - 1);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_two_eras_follows_the_day_before() {
        let mut before = Date { year: 1599, month: 12, day: 31 }.days();
        for year in 1600..2400 {
            for month in 1..=12 {
                let last = Date { year, month, day: 1 }.days_in_month();
                for day in 1..=last {
                    let days = Date { year, month, day }.days();
                    assert_eq!(days, before + 1, "{year}-{month}-{day}");
                    before = days;
                }
            }
        }
    }
}
