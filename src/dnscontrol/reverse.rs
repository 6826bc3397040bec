//! Names of the reverse trees, from addresses and networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail, ensure};

/// Name of the pointer of an address: `4.3.2.1.in-addr.arpa`.
pub(super) fn pointer(address: IpAddr) -> String {
    let (labels, tree) = labels(address);
    format!("{}.{tree}", labels.join("."))
}

/// How networks between octets are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// RFC 2317 section 4 below /24, else RFC 4183.
    #[default]
    Rfc2317,
    /// RFC 4183 everywhere; bits beyond the length do not matter.
    Rfc4183,
}

impl Mode {
    /// What `REVCOMPAT()` names.
    pub(super) fn named(name: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "rfc2317" | "2317" | "2" | "old" => Ok(Self::Rfc2317),
            "rfc4183" | "4183" | "4" => Ok(Self::Rfc4183),
            _ => bail!("`{name}` is neither rfc2317 nor rfc4183"),
        }
    }
}

/// Zone of a network, as `REV()` gives it: `3.2.1.in-addr.arpa` for `1.2.3.0/24`.
///
/// Without a length, the zone of the one address. IPv6 lengths between digits are rounded up.
pub(super) fn zone(network: &str, mode: Mode) -> Result<String> {
    let (text, length) = network
        .split_once('/')
        .map_or((network, None), |(text, length)| (text, Some(length)));
    let address: IpAddr = text
        .parse()
        .with_context(|| format!("`{network}` is not a network"))?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length: usize = match length {
        None => bits,
        Some(length) => length
            .parse()
            .ok()
            .filter(|length| *length <= bits)
            .with_context(|| format!("`{network}` has a length that is not 0 to {bits}"))?,
    };
    ensure!(
        mode == Mode::Rfc4183 || host_bits(address, length) == 0,
        "`{network}` has bits set beyond its length"
    );
    ensure!(length >= 8, "`{network}` is larger than any zone");
    let (labels, tree) = labels(address);
    let label_bits = bits / labels.len();
    let (whole, rest) = (length / label_bits, length % label_bits);
    let mut parts: Vec<String> = Vec::new();
    let kept = match address {
        IpAddr::V4(address) if rest > 0 => {
            let number = address.octets().get(whole).copied().unwrap_or_default();
            let first = u32::from(number) & !(0xff >> rest);
            let between = if length > 24 && mode == Mode::Rfc2317 {
                '/'
            } else {
                '-'
            };
            parts.push(format!("{first}{between}{length}"));
            whole
        }
        IpAddr::V4(_) => whole,
        IpAddr::V6(_) => whole + rest.min(1),
    };
    parts.extend(labels.iter().skip(labels.len() - kept).cloned());
    parts.push(tree.to_owned());
    Ok(parts.join("."))
}

/// The label of a pointer in the reverse zone `zone`, whose name may be an IP address.
pub(super) fn label(name: &str, zone: &str) -> Result<String> {
    let Ok(address) = name.parse::<IpAddr>() else {
        return Ok(name.to_owned());
    };
    if address.is_ipv4() != zone.ends_with(".in-addr.arpa") {
        return Ok(name.to_owned());
    }
    let reverse = pointer(address);
    if let Some(label) = reverse
        .strip_suffix(zone)
        .and_then(|rest| rest.strip_suffix('.'))
    {
        return Ok(label.to_owned());
    }
    let wrong = || format!("the address is not in `{zone}`");
    let IpAddr::V4(address) = address else {
        bail!(wrong());
    };
    let count = labels_in_range(address, zone).with_context(wrong)?;
    let labels: Vec<&str> = reverse.split('.').take(count).collect();
    Ok(labels.join("."))
}

/// How many labels of the reverse name of `address` are below a zone between octets, such as
/// `128/25.3.2.1.in-addr.arpa` or `16-20.2.1.in-addr.arpa`; none if the address is not in it.
fn labels_in_range(address: Ipv4Addr, zone: &str) -> Option<usize> {
    let labels: Vec<&str> = zone.strip_suffix(".in-addr.arpa")?.split('.').collect();
    let (range, octets) = labels.split_first()?;
    let (first, length) = range.split_once('/').or_else(|| range.split_once('-'))?;
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let mut start = [0; 4];
    let numbers = octets.iter().rev().chain([&first]);
    for (slot, text) in start.iter_mut().zip(numbers) {
        *slot = text.parse().ok()?;
    }
    let count = 4_usize.checked_sub(octets.len())?;
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let inside = u32::from(address) & mask == u32::from(Ipv4Addr::from(start));
    inside.then_some(count)
}

/// Labels of an address, the last digit first, and the tree that they are in.
fn labels(address: IpAddr) -> (Vec<String>, &'static str) {
    match address {
        IpAddr::V4(address) => {
            let octets = address.octets();
            let labels = octets.iter().rev().map(u8::to_string).collect();
            (labels, "in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            let nibbles = octets
                .iter()
                .rev()
                .flat_map(|octet| [octet & 0xf, octet >> 4])
                .map(|nibble| format!("{nibble:x}"))
                .collect();
            (nibbles, "ip6.arpa")
        }
    }
}

fn host_bits(address: IpAddr, length: usize) -> u128 {
    let bits = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    };
    let mask = u32::try_from(length)
        .ok()
        .and_then(|length| u128::MAX.checked_shr(length))
        .unwrap_or(0);
    let inside = if address.is_ipv4() { !0 << 96 } else { !0 };
    bits & mask & inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_networks() {
        for (network, expected) in [
            ("1.2.3.0/24", "3.2.1.in-addr.arpa"),
            ("10.0.0.0/8", "10.in-addr.arpa"),
            ("1.2.3.4", "4.3.2.1.in-addr.arpa"),
            ("1.2.3.128/25", "128/25.3.2.1.in-addr.arpa"),
            ("1.2.3.4/31", "4/31.3.2.1.in-addr.arpa"),
            ("1.2.16.0/20", "16-20.2.1.in-addr.arpa"),
            ("1.128.0.0/9", "128-9.1.in-addr.arpa"),
            ("2001:db8:302::/48", "2.0.3.0.8.b.d.0.1.0.0.2.ip6.arpa"),
            ("2001:db8::/33", "0.8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            assert_eq!(zone(network, Mode::Rfc2317).unwrap(), expected);
        }
        assert!(zone("::1", Mode::Rfc2317).unwrap().starts_with("1.0.0."));
        for (network, expected) in [
            ("1.2.3.200/25", "128-25.3.2.1.in-addr.arpa"),
            ("1.2.31.9/20", "16-20.2.1.in-addr.arpa"),
            ("1.2.3.4/24", "3.2.1.in-addr.arpa"),
        ] {
            assert_eq!(zone(network, Mode::Rfc4183).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_network() {
        for (network, expected) in [
            ("1.2.3", "`1.2.3` is not a network"),
            (
                "1.2.3.4/33",
                "`1.2.3.4/33` has a length that is not 0 to 32",
            ),
            ("1.2.3.4/x", "`1.2.3.4/x` has a length that is not 0 to 32"),
            ("1.2.3.4/24", "`1.2.3.4/24` has bits set beyond its length"),
            ("::1/64", "`::1/64` has bits set beyond its length"),
            ("0.0.0.0/7", "`0.0.0.0/7` is larger than any zone"),
            ("::/0", "`::/0` is larger than any zone"),
        ] {
            assert_eq!(
                zone(network, Mode::Rfc2317).unwrap_err().to_string(),
                expected
            );
        }
        assert!(Mode::named("rfc1").is_err());
        assert_eq!(Mode::named("RFC4183").unwrap(), Mode::Rfc4183);
    }

    #[test]
    fn labels_of_pointers() {
        for (name, zone, expected) in [
            ("1.2.3.4", "3.2.1.in-addr.arpa", "4"),
            ("1.2.3.4", "2.1.in-addr.arpa", "4.3"),
            ("1.2.3.130", "128/25.3.2.1.in-addr.arpa", "130"),
            ("1.2.3.130", "128-25.3.2.1.in-addr.arpa", "130"),
            ("1.2.17.9", "16-20.2.1.in-addr.arpa", "9.17"),
            ("1.130.17.9", "128-9.1.in-addr.arpa", "9.17.130"),
            ("7", "3.2.1.in-addr.arpa", "7"),
            ("::1", "3.2.1.in-addr.arpa", "::1"),
        ] {
            assert_eq!(label(name, zone).unwrap(), expected, "{name} {zone}");
        }
        for (name, zone) in [
            ("1.2.3.4", "4.2.1.in-addr.arpa"),
            ("1.2.3.4", "128/25.3.2.1.in-addr.arpa"),
            ("1.2.40.1", "16-20.2.1.in-addr.arpa"),
            ("::1", "8.b.d.0.1.0.0.2.ip6.arpa"),
        ] {
            let error = label(name, zone).unwrap_err().to_string();
            assert_eq!(error, format!("the address is not in `{zone}`"), "{name}");
        }
    }
}
