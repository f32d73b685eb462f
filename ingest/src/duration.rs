//! Lengths of time as Prometheus writes them: `1d2h3m4s5ms`.

use std::time::Duration;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3600 * 1000),
    ("w", 7 * 24 * 3600 * 1000),
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a Prometheus duration. Units go from the largest to the smallest, each at most once.
///
/// # Errors
/// What is wrong, to be read after the text that was given.
pub fn parse(text: &str) -> Result<Duration, String> {
    const FORM: &str = "must be a duration such as 30s, 5m or 1h30m";
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut millis = 0u64;
    let mut rest = text;
    let mut units = UNITS.iter();
    if rest.is_empty() {
        return Err(FORM.to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() || (unit.is_empty() && !tail.is_empty()) {
            return Err(FORM.to_owned());
        }
        if unit.is_empty() {
            return Err(format!("has no unit; {FORM}"));
        }
        let Some((_, factor)) = units.find(|(name, _)| *name == unit) else {
            return Err(if UNITS.iter().any(|(name, _)| *name == unit) {
                "must have its units from the largest to the smallest, each once".to_owned()
            } else {
                format!("has the unknown unit \"{unit}\"; there are y, w, d, h, m, s, ms")
            });
        };
        millis = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*factor))
            .and_then(|n| n.checked_add(millis))
            .filter(|n| *n <= i64::MAX as u64 / 1_000_000)
            .ok_or("is too long; the longest duration is 292y")?;
        rest = tail;
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration in the shortest form that [`parse`] reads, to the millisecond.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    // Years and weeks are left out: nobody reads 1w3d faster than 10d.
    for (unit, factor) in UNITS.iter().skip(2) {
        if rest >= *factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_prometheus_reads() {
        let table = [
            ("0", 0),
            ("5ms", 5),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("1y", 31_536_000_000),
            ("2w", 1_209_600_000),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_a_reason() {
        let table = [
            ("", "such as 30s"),
            ("30", "has no unit"),
            ("s", "such as 30s"),
            ("-5s", "such as 30s"),
            ("1.5h", "such as 30s"),
            ("5 m", "such as 30s"),
            ("5min", "unknown unit \"min\""),
            ("5s3m", "largest to the smallest"),
            ("5s5s", "largest to the smallest"),
            ("99999999999999999999s", "too long"),
            ("300y", "too long"),
            ("5sé", "such as 30s"),
        ];
        for (text, reason) in table {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["0s", "5ms", "30s", "1h30m", "1d2h3m4s5ms", "30d"] {
            assert_eq!(format(parse(text).expect("valid")), text);
        }
    }
}
