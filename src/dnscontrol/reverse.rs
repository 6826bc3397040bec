//! Names of the reverse trees, from addresses and networks.

use std::net::{IpAddr, Ipv6Addr};

use anyhow::{Context, Result, bail, ensure};

/// Name of the pointer of an address: `4.3.2.1.in-addr.arpa`.
pub(super) fn pointer(address: IpAddr) -> String {
    let (labels, tree) = labels(address);
    format!("{}.{tree}", labels.join("."))
}

/// Zone of a network, as `REV()` gives it: `3.2.1.in-addr.arpa` for `1.2.3.0/24`.
///
/// Without a length, the zone of the one address. Networks between octets that are smaller than
/// /24 are named as in RFC 2317 section 4: `128/25.3.2.1.in-addr.arpa`.
pub(super) fn zone(network: &str) -> Result<String> {
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
        host_bits(address, length) == 0,
        "`{network}` has bits set beyond its length"
    );
    let (labels, tree) = labels(address);
    let label_bits = bits / labels.len();
    let (whole, rest) = (length / label_bits, length % label_bits);
    let skipped = labels.len() - whole;
    let kept = labels.iter().skip(skipped).map(String::as_str);
    let mut parts: Vec<String> = Vec::new();
    match (address, rest) {
        (_, 0) => {}
        (IpAddr::V4(address), _) if length > 24 => {
            let [.., last] = address.octets();
            parts.push(format!("{last}/{length}"));
        }
        (IpAddr::V4(_), _) => bail!("networks like `{network}` are not supported yet"),
        (IpAddr::V6(_), _) => bail!("the length of `{network}` is not a multiple of 4"),
    }
    parts.extend(kept.map(str::to_owned));
    parts.push(tree.to_owned());
    Ok(parts.join("."))
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
            ("2001:db8:302::/48", "2.0.3.0.8.b.d.0.1.0.0.2.ip6.arpa"),
            ("::/0", "ip6.arpa"),
        ] {
            assert_eq!(zone(network).unwrap(), expected);
        }
        assert!(zone("::1").unwrap().starts_with("1.0.0."));
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
            (
                "1.2.0.0/20",
                "networks like `1.2.0.0/20` are not supported yet",
            ),
            (
                "2001:db8::/33",
                "the length of `2001:db8::/33` is not a multiple of 4",
            ),
        ] {
            assert_eq!(zone(network).unwrap_err().to_string(), expected);
        }
    }
}
