//! TTLs of APIs that store a few of them only.

/// The TTL that an API makes of one: the next of `stored`, in ascending order; else the last.
pub(super) fn rounded_up(ttl: u32, stored: &[u32]) -> u32 {
    let next = stored.iter().find(|stored| **stored >= ttl);
    next.or_else(|| stored.last()).copied().unwrap_or(ttl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttls_are_rounded_up() {
        let rounded = |ttl| rounded_up(ttl, &[0, 300, 3600]);
        let ttls = [0, 1, 300, 301, 3600, 3601];
        assert_eq!(ttls.map(rounded), [0, 300, 300, 3600, 3600, 3600]);
    }
}
