//! LOC RDATA (RFC 1876) as text in one canonical form.

/// Latitude and longitude 0, altitude -100 km (RFC 1876 section 2).
const EQUATOR: i64 = 1 << 31;
const ALTITUDE_BASE: i64 = 10_000_000;

/// The fields of the wire format: thousandths of a second of arc, centimetres, and sizes as a
/// digit and a power of ten.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire {
    pub(crate) size: u32,
    pub(crate) horizontal: u32,
    pub(crate) vertical: u32,
    pub(crate) latitude: u32,
    pub(crate) longitude: u32,
    pub(crate) altitude: u32,
}

/// Presentation format (RFC 1876 section 3) with all fields.
pub(crate) fn from_wire(wire: &Wire) -> String {
    let centimetres = i64::from(wire.altitude) - ALTITUDE_BASE;
    let sign = if centimetres < 0 { "-" } else { "" };
    format!(
        "{} {} {sign}{}.{:02}m {} {} {}",
        angle(wire.latitude, ["N", "S"]),
        angle(wire.longitude, ["E", "W"]),
        centimetres.abs() / 100,
        centimetres.abs() % 100,
        size(wire.size),
        size(wire.horizontal),
        size(wire.vertical),
    )
}

/// Presentation format with what was left out filled in; none if `words` are no location.
pub(crate) fn canonical(words: &[String]) -> Option<String> {
    let (latitude, rest) = parse_angle(words, ["N", "S"])?;
    let (longitude, rest) = parse_angle(rest, ["E", "W"])?;
    if rest.is_empty() || rest.len() > 4 {
        return None;
    }
    let mut centimetres = [0, 100, 1_000_000, 1_000];
    for (place, word) in centimetres.iter_mut().zip(rest) {
        *place = fixed(word.trim_end_matches(['m', 'M']), 2)?;
    }
    let [altitude, size, horizontal, vertical] = centimetres;
    Some(from_wire(&Wire {
        size: coded(size)?,
        horizontal: coded(horizontal)?,
        vertical: coded(vertical)?,
        latitude,
        longitude,
        altitude: u32::try_from(altitude.checked_add(ALTITUDE_BASE)?).ok()?,
    }))
}

fn angle(wire: u32, [positive, negative]: [&str; 2]) -> String {
    let offset = i64::from(wire) - EQUATOR;
    let hemisphere = if offset < 0 { negative } else { positive };
    let thousandths = offset.abs();
    let seconds = thousandths / 1000;
    format!(
        "{} {} {}.{:03} {hemisphere}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        thousandths % 1000
    )
}

fn size(wire: u32) -> String {
    let centimetres = u64::from(wire >> 4 & 0xf) * 10_u64.pow(wire & 0xf);
    format!("{}.{:02}m", centimetres / 100, centimetres % 100)
}

/// One to three numbers and a hemisphere, and what follows them.
fn parse_angle<'a>(
    words: &'a [String],
    [positive, negative]: [&str; 2],
) -> Option<(u32, &'a [String])> {
    let is_hemisphere =
        |word: &String| word.eq_ignore_ascii_case(positive) || word.eq_ignore_ascii_case(negative);
    let end = words.iter().position(is_hemisphere)?;
    let (numbers, rest) = words.split_at_checked(end)?;
    let (hemisphere, after) = rest.split_first()?;
    if numbers.is_empty() || numbers.len() > 3 {
        return None;
    }
    let mut thousandths = 0_i64;
    for (word, factor) in numbers.iter().zip([3600, 60, 1]) {
        let part = fixed(word, 3)?.checked_mul(factor)?;
        thousandths = thousandths.checked_add(part)?;
    }
    if hemisphere.eq_ignore_ascii_case(negative) {
        thousandths = -thousandths;
    }
    let wire = u32::try_from(thousandths.checked_add(EQUATOR)?).ok()?;
    Some((wire, after))
}

/// A decimal number times ten to the power of `places`, further places cut off.
fn fixed(text: &str, places: usize) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let good = !whole.is_empty()
        && (whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit());
    if !good {
        return None;
    }
    let kept: String = fraction.chars().take(places).collect();
    let number: i64 = format!("{whole}{kept:0<places$}").parse().ok()?;
    Some(if negative { -number } else { number })
}

/// Centimetres as a digit and a power of ten, further digits cut off.
fn coded(centimetres: i64) -> Option<u32> {
    let mut digit = u64::try_from(centimetres).ok()?;
    let mut exponent = 0;
    while digit >= 10 {
        digit /= 10;
        exponent += 1;
    }
    (exponent <= 9).then_some(u32::try_from(digit).ok()? << 4 | exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canon(text: &str) -> Option<String> {
        canonical(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_fields_are_written_out() {
        let full = "52 22 23.000 N 4 53 32.000 E -2.00m 1.00m 10000.00m 10.00m";
        assert_eq!(canon("52 22 23 N 4 53 32 E -2").unwrap(), full);
        assert_eq!(canon(full).unwrap(), full);
        assert_eq!(
            canon("42 s 71 6 18.5 W 24.5m 30m 15m 2m").unwrap(),
            "42 0 0.000 S 71 6 18.500 W 24.50m 30.00m 10.00m 2.00m"
        );
    }

    #[test]
    fn what_is_no_location() {
        for text in [
            "",
            "N E",
            "1 N 2 E",
            "1 2 3 4 N 1 E 0",
            "x N 1 E 0",
            "1 N 1 E 0 1 1 1 1",
            "99999999999999999999 N 1 E 0m",
            "1 N 1 E 99999999999",
        ] {
            assert_eq!(canon(text), None, "{text}");
        }
    }

    #[test]
    fn nonsense_on_the_wire_does_not_panic() {
        let text = from_wire(&Wire {
            size: u32::MAX,
            horizontal: 0,
            vertical: 0x9f,
            latitude: 0,
            longitude: u32::MAX,
            altitude: 0,
        });
        assert!(text.starts_with("596 31 23.648 S"), "{text}");
    }
}
